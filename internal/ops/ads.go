package ops

import (
	"context"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// AdActs is what people see and do of the conversations with ad managers.
type AdActs interface {
	AdHolds(ctx context.Context, q restock.ListQuery) ([]restock.AdHold, string, error)
	AdHold(ctx context.Context, id restock.AdHoldID) (restock.AdHold, error)
	AcknowledgeAdHold(ctx context.Context, id restock.AdHoldID, act restock.Act) (restock.AdHold, error)
}

// AdHoldReport is a hold as the API shows it: what its manager was told last, and
// whether that was answered, in front of all of it.
type AdHoldReport struct {
	Told           restock.AdAsk `json:"told,omitempty"` // stop or resume; left out while nothing was told
	ToldAt         time.Time     `json:"told_at,omitzero"`
	AcknowledgedAt time.Time     `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string        `json:"acknowledged_by,omitempty"`
	restock.AdHold
}

func reportOf(h restock.AdHold) AdHoldReport {
	report := AdHoldReport{AdHold: h, Told: h.Told()}
	if report.Told == "" {
		return report
	}
	q := h.Question(report.Told)
	report.ToldAt = q.Mail.SentAt
	if report.ToldAt.IsZero() {
		report.ToldAt = q.Mail.TriedAt
	}
	report.AcknowledgedAt, report.AcknowledgedBy = q.AcknowledgedAt, q.AcknowledgedBy
	return report
}

func (a *api) adRoutes(mux *web.Mux) {
	mux.HandleFunc("GET /v1/ad-holds?limit&after&product&state", list(a, func(ctx context.Context, q restock.ListQuery) ([]AdHoldReport, string, error) {
		holds, next, err := a.store.AdHolds(ctx, q)
		reports := make([]AdHoldReport, len(holds))
		for i, h := range holds {
			reports[i] = reportOf(h)
		}
		return reports, next, err
	}))
	mux.HandleFunc("GET /v1/ad-holds/{id}", show(a, "id", byID(func(ctx context.Context, id restock.AdHoldID) (AdHoldReport, error) {
		hold, err := a.store.AdHold(ctx, id)
		return reportOf(hold), err
	})))
	mux.HandleFunc("POST /v1/ad-holds/{id}/acknowledge", actOn(a, "ad hold", "acknowledge",
		func(ctx context.Context, id restock.AdHoldID, _ ActBody, act restock.Act) (AdHoldReport, error) {
			hold, err := a.store.AcknowledgeAdHold(ctx, id, act)
			return reportOf(hold), err
		}))
}
