package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/metrics"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/sales"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/webhook"
)

// metricsPath is where Prometheus asks, on the operators' listener.
const metricsPath = "/metrics"

// openMetrics makes the counters, before anything is there that counts.
func (a *app) openMetrics() {
	scheme, _, _ := strings.Cut(a.cfg.databaseURL(), ":")
	engine, _, _ := strings.Cut(a.cfg.Queue, ":")
	a.metrics = metrics.New(metrics.Build{Version: version, Database: scheme, Queue: engine}, metrics.Classes{
		Checkouts: sales.Outcomes(), Callbacks: replenish.CallbackClasses(),
		Mails: []string{ads.KindStop, ads.KindStopReminder, ads.KindResume, ads.KindResumeReminder, ops.KindAlert},
		Calls: []string{
			string(restock.AttemptAccepted), string(restock.AttemptRejected), string(restock.AttemptUnknown), string(restock.AttemptNotSent),
		},
	})
}

// routeMetrics shows what this process counts, and what is in tables if it is
// the operators' side: the processes of one database would all tell the same.
func (a *app) routeMetrics() {
	a.metrics.Pools(a.store.Pools())
	a.metrics.Retries(a.store.Retries)
	a.metrics.Gauge("restock_till_waiting_carts", "Carts that stand in line at the till.", func() float64 { return float64(a.shop.Waiting()) })
	if slices.ContainsFunc(chosenRoles(a.cfg.Roles), func(r role) bool { return r.operators }) {
		a.metrics.Levels(a.store.Levels, time.Now, a.log)
		for name, engine := range a.engine.reached() {
			a.metrics.Engine(name, depthsOf(engine), time.Now)
		}
	}
	a.adminRoutes.Handle("GET "+metricsPath, a.metrics.Handler())
}

// depthsOf reads what lies on a broker.
func depthsOf(engine ops.Depths) func(context.Context) ([]restock.QueueDepth, error) {
	return func(ctx context.Context) ([]restock.QueueDepth, error) {
		depths, err := engine.Depths(ctx)
		all := make([]restock.QueueDepth, len(depths))
		for i, d := range depths {
			all[i] = restock.QueueDepth{Queue: d.Queue, Waiting: d.Waiting, InFlight: d.InFlight, Dead: d.Dead, OldestAt: d.OldestAt}
		}
		return all, err
	}
}

// countedPlacer counts the calls to factories.
type countedPlacer struct {
	replenish.Placer

	observe func(outcome string, took time.Duration)
}

// Place writes one attempt to the network.
func (p countedPlacer) Place(ctx context.Context, url string, r factory.Request) restock.Answer {
	began := time.Now()
	answer := p.Placer.Place(ctx, url, r)
	p.observe(string(answer.State), time.Since(began))
	return answer
}

// countedSender counts the mails that are tried.
type countedSender struct {
	mail.Sender

	observe func(kind, outcome string)
}

// Send sends a mail.
func (s countedSender) Send(ctx context.Context, m mail.Message) error {
	err := s.Sender.Send(ctx, m)
	switch {
	case err == nil:
		s.observe(m.Kind, metrics.Sent)
	case mail.Postponed(err):
		s.observe(m.Kind, metrics.Postponed)
	default:
		s.observe(m.Kind, metrics.Failed)
	}
	return err
}

// refuseReceipt counts the reports that people refuse.
func refuseReceipt(ctx context.Context, s *store.Store, refused func(class string), id restock.ReceiptID, act restock.Act) (restock.Receipt, error) {
	r, err := s.RefuseReceipt(ctx, id, act)
	if err == nil {
		refused(string(restock.ReceiptRefused))
	}
	return r, err
}

// countedWebhook counts the webhooks that are tried.
type countedWebhook struct {
	ops.Webhook

	observe func(outcome string)
}

// Send posts a webhook.
func (h countedWebhook) Send(ctx context.Context, m webhook.Message) error {
	err := h.Webhook.Send(ctx, m)
	if err != nil {
		h.observe(metrics.Failed)
		return err
	}
	h.observe(metrics.Sent)
	return nil
}
