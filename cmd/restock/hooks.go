package main

import (
	"context"

	"github.com/restock/restock/internal/hooks"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/webhook"
)

// openHooks makes the room that tells other programs. Its queues are always in
// the database: they are copies for one receiver each, and not the broker's.
func (a *app) openHooks(token string) (*hooks.Hooks, error) {
	inner, err := parseNets("--webhook-allow", a.cfg.WebhookAllow)
	if err != nil {
		return nil, err
	}
	consume := func(name string, handlers map[string]queue.Handler, cfg queue.Config) func(context.Context) error {
		return queue.New(a.store.Queue(), name, handlers, cfg).Run
	}
	return hooks.New(a.store, consume, hooks.Config{
		Logger: a.log, Token: token, TokenHint: tokenHint(a.cfg.tokenPath()), Guard: webhook.Guard{Inner: inner},
		Schedule: a.cfg.WebhookRetries, PostTimeout: a.cfg.WebhookTimeout,
		Retention: a.cfg.Retention, EventRetention: a.cfg.EventRetention,
	}), nil
}
