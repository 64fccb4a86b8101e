package driver

import (
	"encoding/hex"
	"fmt"
)

// ID names a message, on every queue and for ever: it is the key by which
// handlers recognise a message that comes twice.
type ID [16]byte

const idTextLen = 36

// ParseID reads the 36 characters of a UUID.
func ParseID(s string) (ID, error) {
	var id ID
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return ID{}, err
	}
	return id, nil
}

// IsZero reports whether the id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String gives the 36 characters of a UUID.
func (id ID) String() string {
	text := make([]byte, 0, idTextLen)
	text = hex.AppendEncode(text, id[0:4])
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:16]} {
		text = hex.AppendEncode(append(text, '-'), part)
	}
	return string(text)
}

// MarshalText writes the 36 characters of a UUID.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the 36 characters of a UUID, in either case.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != idTextLen || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return fmt.Errorf("%q is not a message id (a UUID of %d characters)", text, idTextLen)
	}
	digits := make([]byte, 0, 2*len(id))
	for _, part := range [][]byte{text[0:8], text[9:13], text[14:18], text[19:23], text[24:36]} {
		digits = append(digits, part...)
	}
	var read ID
	if _, err := hex.Decode(read[:], digits); err != nil {
		return fmt.Errorf("%q is not a message id: %w", text, err)
	}
	*id = read
	return nil
}
