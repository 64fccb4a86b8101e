package dashboard

import "github.com/restock/restock"

// The size of a bar, in its own units.
const (
	barWidth = 160
	barSlack = 1.08 // what is free at its end
)

// stockBar shows the numbers of a product as lengths: what is available, what of
// the rest is reserved, what is on order behind it, and where the reorder point is.
type stockBar struct {
	Available, Reserved, OnOrder int64 // widths
	ReservedAt, OnOrderAt        int64
	ReorderAt                    int64
	HasReorder                   bool
}

func barOf(p restock.Product) stockBar {
	s := p.Stock
	most := max(s.OnHand+s.OnOrder, p.Policy.ReorderPoint, p.Policy.OrderUpTo, 1)
	scale := func(n int64) int64 { return int64(float64(n) / (float64(most) * barSlack) * barWidth) }
	b := stockBar{
		Available: scale(max(0, s.Available())), Reserved: scale(s.Reserved), OnOrder: scale(s.OnOrder), ReorderAt: scale(p.Policy.ReorderPoint),
		HasReorder: p.Policy.Ordering != restock.OrderingOff,
	}
	b.ReservedAt = b.Available
	b.OnOrderAt = b.Available + b.Reserved
	return b
}
