package restock

// ListQuery asks for one page of a list.
type ListQuery struct {
	Product string // a slug, SKU or id; "" for all
	State   string // "" for all
	// Reference finds sales by the shop's own id.
	Reference string
	After     string // the Next of the page before
	Limit     int
}

// Status is what is going on, in one screen.
type Status struct {
	Products       int64            `json:"products"`
	OutOfStock     int64            `json:"out_of_stock"`
	Low            int64            `json:"low"`
	Orders         map[string]int64 `json:"open_orders"` // by state
	ReceiptsHeld   int64            `json:"receipts_held"`
	AdHolds        map[string]int64 `json:"ad_holds"` // by state, of open conversations
	Watch          []Product        `json:"watch"`    // out of stock or low, the worst first
	DigestsWaiting int64            `json:"digests_waiting"`
	// WebhooksWaiting are digests that the webhook has not taken yet.
	WebhooksWaiting int64      `json:"webhooks_waiting"`
	Incidents       []Incident `json:"incidents"` // open ones
}

// WatchMax bounds the products that a status lists.
const WatchMax = 20

// Check is one promise held against the raw rows.
type Check struct {
	Promise    string   `json:"promise"` // its number in the list of promises
	Name       string   `json:"name"`
	Rows       int64    `json:"rows"`                 // rows that were looked at
	Violations []string `json:"violations,omitempty"` // cut to ViolationsShown
	Broken     int64    `json:"broken"`               // all of them
	Unknown    string   `json:"unknown,omitempty"`    // what nobody here can know
}

// ViolationsShown bounds the examples that a check lists.
const ViolationsShown = 10
