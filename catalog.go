package restock

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Catalog is what a shop sells and who stands behind it, as written in a
// catalogue file. Names, not ids, tie its parts together.
type Catalog struct {
	// DefaultProduct is what a checkout without a body buys; left out, it is the
	// only product of a store that has one.
	DefaultProduct SKU                    `yaml:"default_product,omitempty" json:"default_product,omitempty"`
	Currency       string                 `yaml:"currency,omitempty" json:"currency,omitempty"`
	BuyerEmail     string                 `yaml:"buyer_email,omitempty" json:"buyer_email,omitempty"`
	DailyLimit     int64                  `yaml:"daily_limit,omitempty" json:"daily_limit,omitempty"`
	Factories      []CatalogFactory       `yaml:"factories,omitempty" json:"factories,omitempty"`
	Advertisements []CatalogAdvertisement `yaml:"advertisements,omitempty" json:"advertisements,omitempty"`
	Products       []CatalogProduct       `yaml:"products,omitempty" json:"products,omitempty"`
}

// CatalogFactory describes a factory, by its identifier.
type CatalogFactory struct {
	// ID is what another system calls it; a new one is made when it is left out.
	ID            FactoryID     `yaml:"-" json:"factory_id,omitzero"`
	Identifier    string        `yaml:"identifier" json:"identifier"`
	Name          string        `yaml:"name,omitempty" json:"name,omitempty"`
	ManagerEmail  string        `yaml:"manager_email,omitempty" json:"manager_email,omitempty"`
	Language      Language      `yaml:"language,omitempty" json:"language,omitempty"`
	URL           string        `yaml:"url" json:"url"`
	LeadTime      time.Duration `yaml:"lead_time,omitempty" json:"lead_time_ns,omitempty"`
	Requester     string        `yaml:"requester,omitempty" json:"requester,omitempty"`
	MaxInFlight   int64         `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"`
	RatePerSecond float64       `yaml:"rate_per_second,omitempty" json:"rate_per_second,omitempty"`
	// Overdue is what happens when a callback does not come: reorder, wait or hold.
	Overdue OverduePolicy `yaml:"overdue,omitempty" json:"overdue,omitempty"`
	// Repeats is what a repeated report means while goods are missing: hold, or
	// apply for a factory that sends equal partials.
	Repeats Repeats `yaml:"repeats,omitempty" json:"repeats,omitempty"`
	// RefusedStatuses are HTTP statuses from 500 on that surely mean "not accepted".
	RefusedStatuses []int `yaml:"refused_statuses,omitempty,flow" json:"refused_statuses,omitempty"`
}

// CatalogAdvertisement describes an advertisement, by its name.
type CatalogAdvertisement struct {
	ID           AdvertisementID `yaml:"-" json:"advertisement_id,omitzero"` // as a factory's
	Name         string          `yaml:"name" json:"name"`
	ManagerEmail string          `yaml:"manager_email" json:"manager_email"`
	Language     Language        `yaml:"language,omitempty" json:"language,omitempty"`
	// StopWhen is all, for an advertisement that runs as long as one of its
	// products can be bought, or any.
	StopWhen StopWhen `yaml:"stop_when,omitempty" json:"stop_when,omitempty"`
}

// CatalogProduct describes a product, by its SKU. OpeningStock counts only
// when the product is new.
type CatalogProduct struct {
	ID             ProductID `yaml:"-" json:"product_id,omitzero"` // as a factory's
	SKU            SKU       `yaml:"sku" json:"sku"`
	Slug           string    `yaml:"slug,omitempty" json:"slug,omitempty"`
	Name           string    `yaml:"name" json:"name"`
	Price          int64     `yaml:"price" json:"price"`
	UnitCost       int64     `yaml:"unit_cost,omitempty" json:"unit_cost,omitempty"`
	OpeningStock   int64     `yaml:"opening_stock,omitempty" json:"opening_stock,omitempty"`
	Factory        string    `yaml:"factory,omitempty" json:"factory,omitempty"`
	Advertisement  string    `yaml:"advertisement,omitempty" json:"advertisement,omitempty"`
	Ordering       Ordering  `yaml:"ordering,omitempty" json:"ordering,omitempty"`
	ReorderPoint   int64     `yaml:"reorder_point,omitempty" json:"reorder_point,omitempty"`
	OrderQuantity  int64     `yaml:"order_quantity,omitempty" json:"order_quantity,omitempty"`
	OrderUpTo      int64     `yaml:"order_up_to,omitempty" json:"order_up_to,omitempty"`
	MinimumOrder   int64     `yaml:"minimum_order,omitempty" json:"minimum_order,omitempty"`
	PackSize       int64     `yaml:"pack_size,omitempty" json:"pack_size,omitempty"`
	MaximumStock   int64     `yaml:"maximum_stock,omitempty" json:"maximum_stock,omitempty"`
	MaxPerPurchase int64     `yaml:"max_per_purchase,omitempty" json:"max_per_purchase,omitempty"`
	ResumeLevel    int64     `yaml:"resume_level,omitempty" json:"resume_level,omitempty"`
	OpenOrdersMax  int64     `yaml:"open_orders_max,omitempty" json:"open_orders_max,omitempty"`
	DailyLimit     int64     `yaml:"daily_limit,omitempty" json:"daily_limit,omitempty"`
}

// The defaults of a catalogue, and the limits that keep sums within int64.
const (
	DefaultCurrency       = "KRW"
	DefaultMaxInFlight    = 4
	DefaultRatePerSecond  = 5
	DefaultLeadTime       = 40 * time.Second
	DefaultMaxPerPurchase = 100

	QuantityMax = 999_999_999 // nine digits, as many as the factory can echo
	PriceMax    = 1_000_000_000_000
	// TotalMax is the largest total of a cart: every program that reads JSON
	// numbers as floating point still reads it exactly.
	TotalMax   = 1<<53 - 1
	NameLenMax = 10_000
)

// slugPattern keeps a slug usable in an address without escaping.
const slugPattern = `^[a-z0-9][a-z0-9._-]{0,63}$`

// Fill sets what was left out to its default.
func (c *Catalog) Fill() {
	fill(&c.Currency, DefaultCurrency)
	for i := range c.Factories {
		c.Factories[i].fill()
	}
	for i := range c.Advertisements {
		fill(&c.Advertisements[i].Language, Korean)
		fill(&c.Advertisements[i].StopWhen, StopWhenAll)
	}
	for i := range c.Products {
		c.Products[i].fill()
	}
}

func (f *CatalogFactory) fill() {
	fill(&f.Name, f.Identifier)
	fill(&f.Language, Korean)
	fill(&f.LeadTime, DefaultLeadTime)
	fill(&f.Requester, "restock")
	fill(&f.MaxInFlight, DefaultMaxInFlight)
	fill(&f.RatePerSecond, DefaultRatePerSecond)
	fill(&f.Overdue, OverdueReorder)
	fill(&f.Repeats, RepeatsHold)
}

func (p *CatalogProduct) fill() {
	fill(&p.Slug, strings.ToLower(string(p.SKU)))
	if p.OrderQuantity > 0 || p.OrderUpTo > 0 {
		fill(&p.Ordering, OrderingAuto)
	}
	fill(&p.Ordering, OrderingOff)
	fill(&p.MinimumOrder, 1)
	fill(&p.PackSize, 1)
	fill(&p.MaxPerPurchase, DefaultMaxPerPurchase)
	fill(&p.ResumeLevel, 1)
	fill(&p.OpenOrdersMax, 1)
}

func fill[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

// Policy is how the product is replenished and sold.
func (p CatalogProduct) Policy() Policy {
	return Policy{
		Ordering: p.Ordering, ReorderPoint: p.ReorderPoint,
		OrderQuantity: p.OrderQuantity, OrderUpTo: p.OrderUpTo,
		MinimumOrder: p.MinimumOrder, PackSize: p.PackSize, MaximumStock: p.MaximumStock,
		MaxPerPurchase: p.MaxPerPurchase, ResumeLevel: p.ResumeLevel, OpenOrdersMax: p.OpenOrdersMax,
		DailyLimit: p.DailyLimit,
	}
}

// Check reports every mistake of a filled catalogue at once, in one error of
// kind Invalid. Factories and advertisements that only the store knows are
// checked there.
func (c *Catalog) Check() error {
	v := catalogCheck{slug: regexp.MustCompile(slugPattern), seen: map[string]bool{}}
	for i, f := range c.Factories {
		v.factory(i, f)
	}
	for i, a := range c.Advertisements {
		v.advertisement(i, a)
	}
	for i, p := range c.Products {
		v.product(i, p)
	}
	v.check(c.BuyerEmail == "" || validEmail(c.BuyerEmail), "buyer_email: %q is not an e-mail address", c.BuyerEmail)
	v.check(c.DailyLimit >= 0, "daily_limit: %d is below 0", c.DailyLimit)
	if len(v.mistakes) == 0 {
		return nil
	}
	return Errorf(Invalid, CodeInvalid, "the catalogue has %d mistakes:\n  %s\nNothing was changed; mend the file and apply it again",
		len(v.mistakes), strings.Join(v.mistakes, "\n  "))
}

// mistakesShown bounds the mistakes that one error lists.
const mistakesShown = 50

type catalogCheck struct {
	slug     *regexp.Regexp
	seen     map[string]bool
	mistakes []string
}

func (v *catalogCheck) check(ok bool, format string, args ...any) {
	if !ok && len(v.mistakes) < mistakesShown {
		v.mistakes = append(v.mistakes, fmt.Sprintf(format, args...))
	}
}

func (v *catalogCheck) once(kind, name string) {
	key := kind + "\x00" + name
	v.check(!v.seen[key], "%s %q occurs twice", kind, name)
	v.seen[key] = true
}

func (v *catalogCheck) factory(i int, f CatalogFactory) {
	at := fmt.Sprintf("factories[%d] %s", i, f.Identifier)
	v.check(f.Identifier != "", "%s: identifier is missing", at)
	v.once("factory", f.Identifier)
	u, err := url.Parse(f.URL)
	v.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil,
		"%s: url must be http:// or https:// with a host and no password, not %q", at, f.URL)
	v.check(f.ManagerEmail == "" || validEmail(f.ManagerEmail), "%s: manager_email %q is not an e-mail address", at, f.ManagerEmail)
	v.check(f.Language == Korean || f.Language == English, "%s: language must be ko or en", at)
	v.check(f.LeadTime >= 0, "%s: lead_time is below 0", at)
	v.check(f.MaxInFlight > 0, "%s: max_in_flight must be above 0", at)
	v.check(f.RatePerSecond > 0, "%s: rate_per_second must be above 0", at)
	v.check(f.Overdue == OverdueReorder || f.Overdue == OverdueWait || f.Overdue == OverdueHold,
		"%s: overdue must be reorder, wait or hold, not %q", at, f.Overdue)
	v.check(f.Repeats == RepeatsHold || f.Repeats == RepeatsApply, "%s: repeats must be hold or apply, not %q", at, f.Repeats)
	for _, status := range f.RefusedStatuses {
		v.check(status >= 500 && status <= 599, "%s: refused_statuses: %d is not from 500 to 599", at, status)
	}
}

func (v *catalogCheck) advertisement(i int, a CatalogAdvertisement) {
	at := fmt.Sprintf("advertisements[%d] %s", i, a.Name)
	v.check(a.Name != "", "%s: name is missing", at)
	v.once("advertisement", a.Name)
	v.check(validEmail(a.ManagerEmail), "%s: manager_email %q is not an e-mail address", at, a.ManagerEmail)
	v.check(a.Language == Korean || a.Language == English, "%s: language must be ko or en", at)
	v.check(a.StopWhen == StopWhenAll || a.StopWhen == StopWhenAny, "%s: stop_when must be all or any, not %q", at, a.StopWhen)
}

func (v *catalogCheck) product(i int, p CatalogProduct) {
	at := fmt.Sprintf("products[%d] %s", i, p.SKU)
	v.check(p.SKU != "", "%s: sku is missing", at)
	v.once("product", string(p.SKU))
	v.once("slug", p.Slug)
	v.check(v.slug.MatchString(p.Slug), "%s: slug %q must be lower-case letters, digits, '.', '_' or '-', at most 64", at, p.Slug)
	v.check(p.Name != "" && len(p.Name) <= NameLenMax, "%s: name must have 1 to %d bytes", at, NameLenMax)
	v.check(p.Price >= 0 && p.Price <= PriceMax, "%s: price must be 0 to %d", at, int64(PriceMax))
	v.check(p.UnitCost >= 0 && p.UnitCost <= PriceMax, "%s: unit_cost must be 0 to %d", at, int64(PriceMax))
	v.quantities(at, p)
	v.check(p.Ordering == OrderingAuto || p.Ordering == OrderingReview || p.Ordering == OrderingOff,
		"%s: ordering must be auto, review or off, not %q", at, p.Ordering)
	v.check(p.Ordering == OrderingOff || p.OrderQuantity > 0 || p.OrderUpTo > 0,
		"%s: ordering %s needs order_quantity or order_up_to", at, p.Ordering)
	v.check(p.OrderQuantity == 0 || p.OrderUpTo == 0, "%s: give order_quantity or order_up_to, not both", at)
	v.check(p.OrderUpTo == 0 || p.OrderUpTo > p.ReorderPoint, "%s: order_up_to must be above reorder_point", at)
	v.check(p.DailyLimit >= 0, "%s: daily_limit is below 0", at)
	v.check(p.Ordering == OrderingOff || p.Factory != "", "%s: ordering %s needs a factory", at, p.Ordering)
}

func (v *catalogCheck) quantities(at string, p CatalogProduct) {
	for _, q := range []struct {
		name       string
		value, min int64
	}{
		{"opening_stock", p.OpeningStock, 0},
		{"reorder_point", p.ReorderPoint, 0},
		{"order_quantity", p.OrderQuantity, 0},
		{"order_up_to", p.OrderUpTo, 0},
		{"minimum_order", p.MinimumOrder, 1},
		{"pack_size", p.PackSize, 1},
		{"maximum_stock", p.MaximumStock, 0},
		{"max_per_purchase", p.MaxPerPurchase, 1},
		{"resume_level", p.ResumeLevel, 1},
		{"open_orders_max", p.OpenOrdersMax, 1},
	} {
		v.check(q.value >= q.min && q.value <= QuantityMax, "%s: %s must be %d to %d, not %d", at, q.name, q.min, int64(QuantityMax), q.value)
	}
}

func validEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// CatalogChange is one difference between a catalogue and the store.
type CatalogChange struct {
	Kind  string `json:"kind"` // factory, advertisement, product or setting
	Name  string `json:"name"`
	Field string `json:"field,omitempty"` // "" when the thing is new
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}
