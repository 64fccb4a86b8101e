package replenish

import (
	"fmt"

	"github.com/restock/restock"
)

// Decide answers "shall we order now?" from what is true now, whatever the
// message that asked.
func Decide(s restock.Situation) restock.Decision {
	p := s.Product
	no := func(format string, args ...any) restock.Decision {
		return restock.Decision{Reason: fmt.Sprintf("no order because "+format, args...)}
	}
	switch {
	case p.Policy.Ordering == restock.OrderingOff:
		return no("ordering is off")
	case !p.Policy.Low(p.Stock):
		return no("the position %d is above the reorder point %d", p.Stock.Position(), p.Policy.ReorderPoint)
	case int64(len(s.OpenOrders)) >= p.Policy.OpenOrdersMax:
		return no("order %s is open", s.OpenOrders[0])
	case p.FactoryID.IsZero():
		return no("the product has no factory")
	}
	quantity := Quantity(p.Policy, p.Stock)
	if quantity <= 0 {
		return no("the maximum stock %d leaves no room for a pack of %d", p.Policy.MaximumStock, p.Policy.PackSize)
	}
	return restock.Decision{
		Order: true, Quantity: quantity, Approval: p.Policy.Ordering == restock.OrderingReview,
		Reason: fmt.Sprintf("the position %d is at or below the reorder point %d", p.Stock.Position(), p.Policy.ReorderPoint),
	}
}

// Quantity is how much to order: the fixed quantity, or what is missing up to
// the level; at least the minimum order; whole packs; and not so much that the
// position would rise above the maximum stock. 0 means that nothing fits.
func Quantity(p restock.Policy, s restock.Stock) int64 {
	quantity := p.OrderQuantity
	if p.OrderUpTo > 0 {
		quantity = p.OrderUpTo - s.Position()
	}
	quantity = max(quantity, p.MinimumOrder)
	quantity = (quantity + p.PackSize - 1) / p.PackSize * p.PackSize
	if p.MaximumStock > 0 {
		room := max(0, p.MaximumStock-s.Position())
		quantity = min(quantity, room/p.PackSize*p.PackSize)
	}
	if quantity < p.MinimumOrder {
		return 0
	}
	return quantity
}
