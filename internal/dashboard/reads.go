package dashboard

import (
	"context"
	"time"

	"github.com/restock/restock"
)

// Store is what the pages read and what people do on them.
type Store interface {
	Products
	History
	Waiting
	Messages
	Acts
	// Verify holds the promises against the raw rows. It takes long on much.
	Verify(ctx context.Context) ([]restock.Check, error)
	Audit(ctx context.Context, q restock.ListQuery) ([]restock.AuditEntry, string, error)
}

// Products is what there is, by urgency and by name.
type Products interface {
	Overview(ctx context.Context) (restock.Overview, error)
	Beside(ctx context.Context) (restock.Beside, error)
	ProductsByUrgency(ctx context.Context, q restock.UrgencyQuery) ([]restock.ProductRow, string, error)
	SearchProducts(ctx context.Context, text string, limit int) (restock.Found, error)
	Product(ctx context.Context, ref string) (restock.Product, error)
}

// History is what happened to one product.
type History interface {
	StockHistory(ctx context.Context, product string, since time.Time) (restock.StockHistory, error)
	Movements(ctx context.Context, q restock.ListQuery) ([]restock.Movement, string, error)
	Decisions(ctx context.Context, q restock.ListQuery) ([]restock.Decision, string, error)
	Stockouts(ctx context.Context, q restock.ListQuery) ([]restock.Stockout, string, error)
	OrdersInFull(ctx context.Context, q restock.ListQuery) ([]restock.Order, string, error)
}

// Waiting is what waits for goods or for a person.
type Waiting interface {
	Orders(ctx context.Context, q restock.ListQuery) ([]restock.Order, string, error)
	Order(ctx context.Context, id restock.OrderID) (restock.Order, error)
	HeldReceipts(ctx context.Context, q restock.ListQuery) ([]restock.Receipt, string, error)
	Receipt(ctx context.Context, id restock.ReceiptID) (restock.Receipt, []byte, error)
}

// Messages is what is on its way inside, and what went out.
type Messages interface {
	QueueDepths(ctx context.Context) ([]restock.QueueDepth, error)
	DeadLetters(ctx context.Context, q restock.DeadQuery) ([]restock.DeadLetter, string, error)
	DeadLetter(ctx context.Context, queue string, id restock.EventID) (restock.DeadLetter, error)
	AdHoldsOpenFirst(ctx context.Context, limit int) ([]restock.AdHold, error)
	SentMails(ctx context.Context, limit int) ([]restock.SentMail, error)
}

// Acts is what a person decides. Each is noted in the audit trail by the store.
type Acts interface {
	ApproveOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error)
	RejectOrder(ctx context.Context, id restock.OrderID, snooze time.Time, act restock.Act) (restock.Order, error)
	RetryOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error)
	WaitOrder(ctx context.Context, id restock.OrderID, until time.Time, act restock.Act) (restock.Order, error)
	WriteOffOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error)
	ApproveReceipt(ctx context.Context, id restock.ReceiptID, approval restock.Approval, act restock.Act) (restock.Receipt, error)
	RefuseReceipt(ctx context.Context, id restock.ReceiptID, act restock.Act) (restock.Receipt, error)
	RedriveDeadLetter(ctx context.Context, queue string, id restock.EventID, r restock.Redrive) (restock.DeadLetter, error)
	DiscardDeadLetter(ctx context.Context, queue string, id restock.EventID, d restock.Discard) (restock.DeadLetter, error)
	AcknowledgeAdHold(ctx context.Context, id restock.AdHoldID, act restock.Act) (restock.AdHold, error)
	PauseOrdering(ctx context.Context, factory string, act restock.Act) error
	ResumeOrdering(ctx context.Context, factory string, act restock.Act) error
}
