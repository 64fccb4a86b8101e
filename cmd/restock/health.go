package main

import (
	"context"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// brokerKept is how long it is told again whether the broker answers: who asks
// for health has no token, and some brokers want money for each answer.
const brokerKept = 5 * time.Second

// checks are what /readyz says is missing. Only without the database is a process
// not ready: sales need nothing else, and no restart would mend the rest.
func (a *app) checks() []web.Check {
	checks := []web.Check{
		{Name: "database", Run: a.store.Ping},
		{Name: "catalogue", Run: a.checkCatalogue, Advisory: true},
		{Name: "ordering", Run: a.checkOrdering, Advisory: true},
	}
	if broker := a.engine.broker; broker != nil {
		checks = append(checks, web.Check{Name: "broker", Advisory: true, Kept: brokerKept, Run: func(ctx context.Context) error {
			if _, err := broker.Depths(ctx); err != nil {
				return missing("the broker does not answer; messages wait in the database", err)
			}
			return nil
		}})
	}
	return checks
}

func (a *app) checkCatalogue(ctx context.Context) error {
	products, _, err := a.store.Products(ctx, restock.ListQuery{Limit: 1})
	if err == nil && len(products) == 0 {
		err = missing("there is nothing to sell yet: restock catalog apply", nil)
	}
	return err
}

func (a *app) checkOrdering(ctx context.Context) error {
	ordering, err := a.store.OrderingSwitch(ctx)
	if err == nil && ordering.Paused != "" {
		err = missing("a person has paused ordering: restock ordering status", nil)
	}
	return err
}

// missing is shown to anybody who asks.
func missing(what string, err error) error {
	return &restock.Error{Kind: restock.Unavailable, Code: restock.CodeUnavailable, Message: what, Err: err}
}
