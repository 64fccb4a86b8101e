package ops

import (
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// Samples makes the mails to operations and to the buyer, for people to look at.
func Samples(cfg Config, at time.Time) []mail.Sample {
	o := New(nil, nil, nil, cfg)
	id := func(n byte) string { return restock.OrderID{0x01, 0x9c, 15: n}.String() }
	held := restock.Problem{
		Kind: restock.ProblemOrderHeld, ID: id(2), SKU: "CP-502102", Since: at.Add(-20 * time.Minute), Count: 1,
		Summary: "not delivered in time, and the reorder budget of 1 is used up",
	}
	operations := restock.Digest{ID: restock.DigestID{1}, Audience: restock.Operations, CreatedAt: at, Problems: []restock.Problem{
		{
			Kind: restock.ProblemDeadLetter, ID: id(1), SKU: "CP-502101", Since: at.Add(-time.Minute),
			Summary: "ad-queue-dlq: stock.out: mail to ads@shop.example: 550 5.1.1 no such mailbox",
		},
		held,
		{
			Kind: restock.ProblemReceiptHeld, ID: id(3), SKU: "CP-502101", Since: at.Add(-2 * time.Hour),
			Summary: "claimed 330, held 30: more than was ordered",
		},
		{
			Kind: restock.ProblemAdUnanswered, ID: id(4), SKU: "CP-502101", Since: at.Add(-4 * time.Hour),
			Summary: "ads@shop.example has not said that donut-main is stopped, though there is nothing to sell",
		},
	}}
	buyer := restock.Digest{ID: restock.DigestID{2}, Audience: restock.Buyer, To: "buyer@shop.example", CreatedAt: at, Problems: []restock.Problem{{
		Kind: restock.ProblemAwaiting, ID: id(5), SKU: "CP-502101", Since: at.Add(-time.Minute),
		Summary: "900 × 부산도너츠 for 6300000 KRW, because the position 0 is at the reorder point 0; the day's limit is 5000000",
	}}}
	copied := restock.Digest{ID: operations.ID, Audience: restock.Buyer, To: buyer.To, CreatedAt: at, Problems: []restock.Problem{held}, Total: 1}
	operations.Total, buyer.Total = int64(len(operations.Problems)), int64(len(buyer.Problems))
	return []mail.Sample{
		{Name: KindAlert, Message: o.alert(operations, restock.ByMail).message()},
		{Name: "buyer-approval", Message: o.alert(buyer, restock.ByMail).message()},
		{Name: KindBuyerCopy, Message: o.alert(copied, restock.ByCopy).message()},
	}
}
