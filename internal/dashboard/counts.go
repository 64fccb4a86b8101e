package dashboard

import (
	"context"
	"sync"
	"time"

	"github.com/restock/restock"
)

// countsKept is how old the counts on a page may be. They are the same on every
// page, and after an act they are counted anew.
const countsKept = time.Second

// counts are what every page tells of.
type counts struct {
	read func(context.Context) (restock.Overview, error)
	now  func() time.Time

	mu   sync.Mutex
	at   time.Time
	last restock.Overview
}

// look gives the counts, at most countsKept old.
func (c *counts) look(ctx context.Context) (restock.Overview, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if age := now.Sub(c.at); !c.at.IsZero() && age >= 0 && age < countsKept {
		return c.last, nil
	}
	counted, err := c.read(ctx)
	if err == nil {
		c.at, c.last = now, counted
	}
	return counted, err
}

// forget has the next page counted anew.
func (c *counts) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}
