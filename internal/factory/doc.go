// Package factory speaks the Factory API: `POST /api/manufactures`, which takes
// an order, and the call back that reports the goods made.
//
// Client places one attempt and says what is known about it afterwards.
// ParseCallback reads what a factory reports, however badly it is written.
// Simulator is a factory for demonstrations and tests.
//
// # Not promised
//
// The Factory API has no idempotency key, no status route and no cancel. So an
// answer of "unknown" stays unknown until the factory calls back, and nobody
// can order exactly once. What Client does promise is that one call of Place
// writes the request at most once, and that "not sent" is proven: see seal.
package factory
