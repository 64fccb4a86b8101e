package restock

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
)

// ID is a UUID that remembers in its type what it names, so that an order's id
// cannot be passed where a sale's is meant. The zero ID means "none".
//
// It is written as the usual 36 characters in text and as 16 bytes in a
// database, where UUIDv7 keeps rows in the order in which they were made.
type ID[T any] [16]byte

// The ids of the vocabulary.
type (
	ProductID       = ID[Product]
	FactoryID       = ID[Factory]
	AdvertisementID = ID[Advertisement]
	SaleID          = ID[Sale]
	OrderID         = ID[Order]
	ReceiptID       = ID[Receipt]
	StockoutID      = ID[Stockout]
	AdHoldID        = ID[AdHold]
	DecisionID      = ID[Decision]
	DigestID        = ID[Digest]
	EventID         = ID[Event]
	ReservationID   = ID[Reservation]
	ReturnID        = ID[Return]
	AdjustmentID    = ID[Adjustment]
	AuditID         = ID[AuditEntry]
	IncidentID      = ID[Incident]
	WebhookID       = ID[Webhook]
)

// ParseID reads the 36-character form. The error is of kind Invalid.
func ParseID[T any](s string) (ID[T], error) {
	var id ID[T]
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return ID[T]{}, err
	}
	return id, nil
}

// IsZero reports whether the id names nothing.
func (id ID[T]) IsZero() bool { return id == ID[T]{} }

// String gives the 36-character form, or "" for the zero ID.
func (id ID[T]) String() string {
	if id.IsZero() {
		return ""
	}
	text, _ := id.AppendText(make([]byte, 0, uuidTextLen))
	return string(text)
}

const uuidTextLen = 36

// AppendText appends the 36-character form.
func (id ID[T]) AppendText(b []byte) ([]byte, error) {
	b = hex.AppendEncode(b, id[0:4])
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:16]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return b, nil
}

// MarshalText writes the 36-character form, and nothing for the zero ID.
func (id ID[T]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote, in either case.
func (id *ID[T]) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID[T]{}
		return nil
	}
	if len(text) != uuidTextLen || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return Errorf(Invalid, CodeInvalid, "%q is not an id (a UUID of 36 characters)", text)
	}
	digits := make([]byte, 0, 32)
	for _, part := range [][]byte{text[0:8], text[9:13], text[14:18], text[19:23], text[24:36]} {
		digits = append(digits, part...)
	}
	if _, err := hex.Decode(id[:], digits); err != nil {
		return Errorf(Invalid, CodeInvalid, "%q is not an id (a UUID of 36 characters)", text)
	}
	return nil
}

// Value stores the 16 bytes, and NULL for the zero ID.
func (id ID[T]) Value() (driver.Value, error) {
	if id.IsZero() {
		return nil, nil //nolint:nilnil // NULL is how a database says "none".
	}
	return id[:], nil
}

// Scan reads what Value stored.
func (id *ID[T]) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*id = ID[T]{}
		return nil
	case []byte:
		if len(src) != len(id) {
			return fmt.Errorf("id of %d bytes, want %d", len(src), len(id))
		}
		copy(id[:], src)
		return nil
	default:
		return fmt.Errorf("id stored as %T, want bytes", src)
	}
}
