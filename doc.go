// Package restock is the vocabulary of automatic stock replenishment: products
// and their stock, sales, replenishment orders and their attempts, receipts,
// stockouts, movements of the ledger, and the events that travel between them.
//
// It holds types and the arithmetic that belongs to them, and nothing else: no
// database, no network, no clock. Every other package speaks in these words.
//
// # Words
//
// On hand is what is physically there; reserved is promised but not gone;
// available = on hand − reserved. On order is ordered and not yet received.
// The inventory position = available + on order. When it falls to the reorder
// point, an order is due. A stockout is the episode from available = 0 until
// the stock is back; a refusal is one buyer turned away.
//
// # Units
//
// Quantities are whole pieces. Money is an integer in the currency's minor
// unit. Times are UTC.
package restock
