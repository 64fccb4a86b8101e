package restock

import (
	"math"
	"time"
)

// RefusalsCountedBy is how exactly it is known when buyers were refused: by the
// quarter of an hour, since in every time zone a day begins with one.
const RefusalsCountedBy = 15 * time.Minute

// ReportQuery asks for a page of the report of stockouts. Of a stockout that the
// window cuts, only the part inside counts.
type ReportQuery struct {
	From, To time.Time // From is inside, To is not
	After    string    // the SKU that the page before ended with
	Limit    int
}

// StockoutReport is what the stockouts of one product came to within a window.
type StockoutReport struct {
	SKU  SKU    `json:"sku"`
	Name string `json:"name"`
	// Stockouts are those that were there in the window, in part or whole; Open is
	// that one of them lasts at its end, or now.
	Stockouts         int64   `json:"stockouts"`
	Open              bool    `json:"open"`
	MinutesOutOfStock Minutes `json:"minutes_out_of_stock"`
	// BuyersRefused, UnitsRefused and ValueLost, in the minor unit of the currency
	// at the price of that time, are of those who found nothing.
	BuyersRefused int64  `json:"buyers_refused"`
	UnitsRefused  int64  `json:"units_refused"`
	ValueLost     int64  `json:"value_lost"`
	Currency      string `json:"currency"`
	// MinutesAdvertised is for how long it was out of stock while its advertisement
	// ran: until somebody, or a program, said that it is stopped.
	MinutesAdvertised Minutes `json:"minutes_advertised"`
	// Acknowledged are stockouts for which that was said in the window, and how
	// long it took from their beginning.
	Acknowledged                int64   `json:"acknowledged"`
	MinutesToAcknowledge        Minutes `json:"minutes_to_acknowledge"`
	MinutesToAcknowledgeLongest Minutes `json:"minutes_to_acknowledge_longest"`
	// Restocked are stockouts that ended in the window, and how long they were.
	Restocked               int64   `json:"restocked"`
	MinutesToRestock        Minutes `json:"minutes_to_restock"`
	MinutesToRestockLongest Minutes `json:"minutes_to_restock_longest"`
}

// Minutes is a time in minutes, to two places.
type Minutes float64

// MinutesOf rounds a time.
func MinutesOf(d time.Duration) Minutes {
	const places = 100
	return Minutes(math.Round(d.Minutes()*places) / places)
}

// Span is a stretch of time: To is not inside.
type Span struct{ From, To time.Time }

// Within is the part of a span inside another; its length is 0 when there is none.
func (s Span) Within(o Span) Span {
	if o.From.After(s.From) {
		s.From = o.From
	}
	if o.To.Before(s.To) {
		s.To = o.To
	}
	return s
}

// Length is how long a span is; one that ends before it begins is 0.
func (s Span) Length() time.Duration { return max(0, s.To.Sub(s.From)) }

// Outside is how much of a span is in none of the others, which are in the order
// of their beginnings and may overlap.
func (s Span) Outside(others []Span) time.Duration {
	var outside time.Duration
	at := s.From
	for _, o := range others {
		if o.From.After(at) {
			outside += Span{at, o.From}.Within(s).Length()
		}
		if o.To.After(at) {
			at = o.To
		}
	}
	return outside + Span{at, s.To}.Within(s).Length()
}
