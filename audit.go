package restock

import "time"

// AuditEntry is one decision of a person: who did what to what, and why.
type AuditEntry struct {
	ID      AuditID   `json:"audit_id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`  // such as order.approve
	Subject string    `json:"subject"` // an id or a name
	SKU     SKU       `json:"sku,omitempty"`
	Reason  string    `json:"reason"`
	Detail  string    `json:"detail,omitempty"`
}

// Act is who does something, and why.
type Act struct {
	By     string
	Reason string
}
