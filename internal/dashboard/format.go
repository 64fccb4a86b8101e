package dashboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// moment is a time as a page shows it.
type moment struct {
	ISO, Full, Short string
}

// When gives a time in the zone of the shop: the hour of today, the day of what
// is longer ago. A time of zero is nothing.
func (v *view) When(at time.Time) moment {
	if at.IsZero() {
		return moment{}
	}
	local, now := at.In(v.zone), v.now.In(v.zone)
	layout := time.DateOnly + " 15:04"
	switch {
	case sameDay(local, now):
		layout = time.TimeOnly
	case local.Year() == now.Year():
		layout = "01-02 15:04"
	}
	return moment{
		ISO: at.UTC().Format(time.RFC3339), Full: local.Format("2006-01-02 15:04:05 MST"), Short: local.Format(layout),
	}
}

func sameDay(a, b time.Time) bool {
	return a.Year() == b.Year() && a.YearDay() == b.YearDay()
}

// Ago tells how long ago a time was, in its largest unit.
func (v *view) Ago(at time.Time) (string, error) {
	const day = 24 * time.Hour
	age := v.now.Sub(at)
	for _, unit := range []struct {
		length time.Duration
		key    string
	}{{day, "days_ago"}, {time.Hour, "hours_ago"}, {time.Minute, "minutes_ago"}} {
		if age >= unit.length {
			return v.T(unit.key, int64(age/unit.length))
		}
	}
	return v.T("just_now")
}

// Past reports whether a time has gone by.
func (v *view) Past(at time.Time) bool { return at.Before(v.now) }

// Number writes a number with separators.
func (v *view) Number(n any) string {
	var value int64
	switch n := n.(type) {
	case int64:
		value = n
	case int:
		value = int64(n)
	}
	return number(value)
}

func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	var groups []string
	for len(digits) > 3 {
		groups = append(groups, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	groups = append(groups, digits)
	slices.Reverse(groups)
	return sign + strings.Join(groups, ",")
}

// Count writes a number that stops at most, as counts of an overview do.
func (v *view) Count(n, most int64) string {
	if n >= most {
		return number(most) + "+"
	}
	return number(n)
}

// CountMax and ProductCountMax are where the counts of an overview stop.
func (v *view) CountMax() int64 { return restock.CountMax }

// ProductCountMax is where the count of products of one urgency stops.
func (v *view) ProductCountMax() int64 { return restock.ProductCountMax }

// Signed writes a change.
func (v *view) Signed(n int64) string {
	if n > 0 {
		return "+" + number(n)
	}
	return number(n)
}

// Money writes an amount of the currency's minor unit.
func (v *view) Money(amount int64, currency string) string {
	whole := []string{"KRW", "JPY", "VND", "CLP", "ISK", "XAF", "XOF"}
	switch {
	case currency == "KRW" && v.Language == restock.Korean:
		return number(amount) + "원"
	case slices.Contains(whole, currency):
		return number(amount) + " " + currency
	}
	const minor = 100
	return fmt.Sprintf("%s.%02d %s", number(amount/minor), amount%minor, currency)
}

// Span writes a length of time.
func (v *view) Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// Short is the beginning of an id, enough to tell it from others nearby.
func (v *view) Short(id fmt.Stringer) string {
	const shown = 8
	text := id.String()
	if len(text) <= shown {
		return text
	}
	return "…" + text[len(text)-shown:]
}
