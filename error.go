package restock

import (
	"errors"
	"fmt"
)

// Kind says what sort of trouble an error is, and so what a caller can do about
// it. The web package maps each kind to one HTTP status.
type Kind uint8

// The kinds of error.
const (
	Internal     Kind = iota // our fault; its text is for the log alone
	Invalid                  // the request itself is wrong; repeating it cannot help
	NotFound                 // what it names does not exist
	Conflict                 // it contradicts the present state
	OutOfStock               // there is not enough available
	Unauthorized             // the caller may not do this
	TooLarge                 // it exceeds a named limit of size
	Unavailable              // try again later
)

// Code is the stable, machine-readable name of an error in the API.
type Code string

// The codes that the API answers with.
const (
	CodeInternal       Code = "internal"
	CodeInvalid        Code = "invalid"
	CodeNotFound       Code = "not_found"
	CodeUnknownProduct Code = "unknown_product"
	CodeOutOfStock     Code = "out_of_stock"
	CodeConflict       Code = "conflict"
	CodeUnauthorized   Code = "unauthorized"
	CodeTooLarge       Code = "too_large"
	CodeUnavailable    Code = "unavailable"
	CodeKeyReused      Code = "key_reused"   // an Idempotency-Key came with another body
	CodeRateLimited    Code = "rate_limited" // too many requests of one caller
	CodeEventsGone     Code = "events_gone"  // the events after a cursor are not kept any more
)

// Error is the one error that crosses from one room to another with a meaning.
// Message is written for the person who reads it and ends with what to do.
type Error struct {
	Kind    Kind
	Code    Code
	Message string
	Err     error // the cause, if any; never shown to a caller
}

// Errorf makes an Error whose message is formatted.
func Errorf(kind Kind, code Code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of the first Error in the chain, and Internal when
// there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
