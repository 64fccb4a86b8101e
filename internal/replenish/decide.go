package replenish

import (
	"fmt"
	"time"

	"github.com/restock/restock"
)

// Decide answers "shall we order now?" from what is true now, whatever the
// message that asked. It is the one place where orders are made: also what a
// person asks for comes here.
func Decide(s restock.Situation) restock.Decision {
	if reason := refusal(s); reason != "" {
		return restock.Decision{Reason: "no order because " + reason}
	}
	p := s.Product
	quantity, reason := Quantity(p.Policy, p.Stock), ""
	if s.Manual != nil {
		quantity, reason = manualQuantity(s)
	} else if quantity <= 0 {
		reason = fmt.Sprintf("the maximum stock %d leaves no room for a pack of %d", p.Policy.MaximumStock, p.Policy.PackSize)
	}
	if reason != "" {
		return restock.Decision{Reason: "no order because " + reason}
	}
	d := restock.Decision{
		Order: true, Quantity: quantity,
		Reason: fmt.Sprintf("the position %d is at or below the reorder point %d", p.Stock.Position(), p.Policy.ReorderPoint),
	}
	if s.Manual != nil {
		d.Reason = fmt.Sprintf("%s ordered by hand: %s", s.Manual.By, s.Manual.Reason)
		return d
	}
	if why := approval(s, quantity); why != "" {
		d.Approval, d.Reason = true, d.Reason+"; it awaits approval because "+why
	}
	return d
}

// refusal says why there is no order, or nothing.
func refusal(s restock.Situation) string {
	p := s.Product
	switch {
	case p.FactoryID.IsZero():
		return "the product has no factory"
	case s.Manual != nil && s.ManualOrders >= restock.ManualOrdersMax:
		return fmt.Sprintf("%d orders by hand are open", s.ManualOrders)
	case s.Manual != nil:
		return ""
	case p.Policy.Ordering == restock.OrderingOff:
		return "ordering is off"
	case !p.Policy.Low(p.Stock):
		return fmt.Sprintf("the position %d is above the reorder point %d", p.Stock.Position(), p.Policy.ReorderPoint)
	case p.Snoozed(s.Now):
		return "it is snoozed until " + p.SnoozedUntil.UTC().Format(time.RFC3339)
	case int64(len(s.OpenOrders)) >= p.Policy.OpenOrdersMax:
		return fmt.Sprintf("order %s is open", s.OpenOrders[0])
	}
	return ""
}

// approval says why a person has to approve an automatic order, or nothing.
func approval(s restock.Situation, quantity int64) string {
	p := s.Product
	if p.Policy.Ordering == restock.OrderingReview {
		return "ordering is review"
	}
	cost := p.Cost(quantity)
	for _, limit := range []struct {
		of            string
		most, ordered int64
	}{
		{"the shop", s.DailyLimit, s.OrderedToday},
		{string(p.SKU), p.Policy.DailyLimit, s.OrderedTodayOfIts},
	} {
		switch {
		case limit.most == 0:
		case p.UnitCost == 0:
			return fmt.Sprintf("its unit_cost is not known, and %s has a daily limit of %d", limit.of, limit.most)
		case cost > limit.most-limit.ordered:
			return fmt.Sprintf("it costs %d, and of the daily limit %d of %s %d are ordered", cost, limit.most, limit.of, limit.ordered)
		}
	}
	if s.Imported && s.ImportedOrders >= restock.ImportedOrdersMax {
		return fmt.Sprintf("an import or a changed policy placed %d orders already", s.ImportedOrders)
	}
	return ""
}

// manualQuantity is what a person ordered, or the policy's quantity, and says
// what is wrong with it, if anything.
func manualQuantity(s restock.Situation) (int64, string) {
	p, quantity := s.Product.Policy, s.Manual.Quantity
	if quantity == 0 {
		quantity = Quantity(p, s.Product.Stock)
	}
	switch {
	case quantity <= 0 || quantity > restock.QuantityMax:
		return 0, fmt.Sprintf("the quantity must be 1 to %d; give one", int64(restock.QuantityMax))
	case quantity < p.MinimumOrder:
		return 0, fmt.Sprintf("%d is below the minimum order %d", quantity, p.MinimumOrder)
	case quantity%p.PackSize != 0:
		return 0, fmt.Sprintf("%d is not whole packs of %d", quantity, p.PackSize)
	case p.MaximumStock > 0 && s.Product.Stock.Position()+quantity > p.MaximumStock:
		return 0, fmt.Sprintf("the position %d would rise above the maximum stock %d", s.Product.Stock.Position()+quantity, p.MaximumStock)
	}
	return quantity, ""
}

// Quantity is how much to order: the fixed quantity, or what is missing up to
// the level; at least the minimum order; whole packs; no more than a factory can
// echo; and not so much that the position would rise above the maximum stock.
// 0 means that nothing is missing, or that nothing fits.
func Quantity(p restock.Policy, s restock.Stock) int64 {
	quantity := p.OrderQuantity
	if p.OrderUpTo > 0 {
		quantity = p.OrderUpTo - s.Position()
	}
	if quantity <= 0 {
		return 0 // the policy asks for nothing, not for a minimum of it
	}
	quantity = max(quantity, p.MinimumOrder)
	quantity = min((quantity+p.PackSize-1)/p.PackSize, restock.QuantityMax/p.PackSize) * p.PackSize
	if p.MaximumStock > 0 {
		room := max(0, p.MaximumStock-s.Position())
		quantity = min(quantity, room/p.PackSize*p.PackSize)
	}
	if quantity < p.MinimumOrder {
		return 0
	}
	return quantity
}
