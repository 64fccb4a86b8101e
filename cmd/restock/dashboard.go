package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/dashboard"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
)

// dashboardStore gives the dashboard the desk as this program judges it.
type dashboardStore struct {
	*store.Store

	decide  restock.Deciders
	refused func(class string)
}

func (s dashboardStore) RefuseReceipt(ctx context.Context, id restock.ReceiptID, act restock.Act) (restock.Receipt, error) {
	return refuseReceipt(ctx, s.Store, s.refused, id, act)
}

func (s dashboardStore) DeadLetters(ctx context.Context, q restock.DeadQuery) ([]restock.DeadLetter, string, error) {
	return s.Store.DeadLetters(ctx, q, s.decide)
}

func (s dashboardStore) DeadLetter(ctx context.Context, queue string, id restock.EventID) (restock.DeadLetter, error) {
	return s.Store.DeadLetter(ctx, queue, id, s.decide)
}

func (s dashboardStore) RedriveDeadLetter(ctx context.Context, queue string, id restock.EventID, r restock.Redrive) (restock.DeadLetter, error) {
	return s.Store.RedriveDeadLetter(ctx, queue, id, r, s.decide)
}

func (s dashboardStore) DiscardDeadLetter(ctx context.Context, queue string, id restock.EventID, d restock.Discard) (restock.DeadLetter, error) {
	return s.Store.DiscardDeadLetter(ctx, queue, id, d, s.decide)
}

// deciders are what the handlers of this program decide by.
func (a *app) deciders() restock.Deciders {
	return restock.Deciders{Order: replenish.Decide, Ad: a.ads.Turn}
}

// openDashboard makes the operator's web page.
func (a *app) openDashboard(operatorToken string, proxies []netip.Prefix, zone *time.Location) (*dashboard.Dashboard, error) {
	viewerToken := ""
	if a.cfg.ViewerTokenFile != "" {
		text, err := readSecret(a.cfg.ViewerTokenFile, nil)
		if err != nil {
			return nil, fmt.Errorf("the viewer's token: %w", err)
		}
		if viewerToken = strings.TrimSpace(text); viewerToken == "" {
			return nil, fmt.Errorf("the viewer's token: %s is empty", a.cfg.ViewerTokenFile)
		}
		if viewerToken == operatorToken {
			return nil, fmt.Errorf("the viewer's token in %s is the operator's; give viewers another one", a.cfg.ViewerTokenFile)
		}
	}
	tokenFile := a.cfg.tokenPath()
	if a.function != nil {
		tokenFile = "" // it is in a secret of the stack
	}
	return dashboard.New(dashboardStore{a.store, a.deciders(), a.metrics.Callback}, dashboard.Config{
		Logger: a.log, OperatorToken: operatorToken, ViewerToken: viewerToken, TokenFile: tokenFile,
		TrustedProxies: proxies, Zone: zone, MailNote: a.cfg.mailNote(), Version: version,
	})
}
