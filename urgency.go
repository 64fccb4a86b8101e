package restock

import "slices"

// Urgency says how near a product is to having nothing to sell, the worst
// first. It follows from the numbers of its row and from nothing else.
type Urgency int

// The urgencies. What is low and has too little coming stands before what is on
// order: it is the one that may need a person.
const (
	UrgencyOut     Urgency = iota // nothing is available
	UrgencyLow                    // the inventory position is at or below the reorder point
	UrgencyOnOrder                // goods are on their way, and enough of them
	UrgencyHealthy                // nothing has to happen
)

// Urgencies lists all, the worst first.
func Urgencies() []Urgency {
	return []Urgency{UrgencyOut, UrgencyLow, UrgencyOnOrder, UrgencyHealthy}
}

// String is the name of an urgency in addresses and texts.
func (u Urgency) String() string {
	names := urgencyNames()
	if u < 0 || int(u) >= len(names) {
		return ""
	}
	return names[u]
}

// MarshalText gives the name.
func (u Urgency) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads a name. The error is of kind Invalid.
func (u *Urgency) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUrgency(string(text))
	return err
}

// ParseUrgency reads a name. The error is of kind Invalid.
func ParseUrgency(name string) (Urgency, error) {
	if at := slices.Index(urgencyNames(), name); at >= 0 {
		return Urgency(at), nil
	}
	return 0, Errorf(Invalid, CodeInvalid, "there is no urgency %q; take one of out_of_stock, low, on_order, healthy", name)
}

func urgencyNames() []string { return []string{"out_of_stock", "low", "on_order", "healthy"} }

// Urgency is how urgent a product is at present.
func (p Product) Urgency() Urgency {
	switch {
	case p.Stock.Available() <= 0:
		return UrgencyOut
	case p.Policy.Low(p.Stock):
		return UrgencyLow
	case p.Stock.OnOrder > 0:
		return UrgencyOnOrder
	}
	return UrgencyHealthy
}
