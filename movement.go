package restock

import "time"

// MovementKind says why on hand changed.
type MovementKind string

// The kinds of movement.
const (
	MovementOpening    MovementKind = "opening"
	MovementSale       MovementKind = "sale"
	MovementReceipt    MovementKind = "receipt"
	MovementAdjustment MovementKind = "adjustment"
	MovementReturn     MovementKind = "return"
)

// Movement is one change of on hand, in the append-only ledger. Summed up, the
// movements of a product are its on hand.
type Movement struct {
	ID          int64        `json:"movement_id"`
	SKU         SKU          `json:"sku"`
	Kind        MovementKind `json:"kind"`
	Quantity    int64        `json:"quantity"` // signed
	OnHandAfter int64        `json:"on_hand_after"`
	// Reference is the id of the sale or receipt that caused it, if any.
	Reference string    `json:"reference,omitempty"`
	At        time.Time `json:"at"`
}
