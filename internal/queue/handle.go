package queue

import (
	"context"
	"sync"

	"github.com/restock/restock/internal/queue/driver"
)

// Handle runs the handlers on messages that somebody else has received and will
// delete, and gives those that must not be deleted: they come again. It takes no
// new message and ends its handlers when ctx ends, so ctx should end while there
// is still time for the answers.
func (c *Consumer) Handle(ctx context.Context, received []driver.Delivery) []driver.Delivery {
	var mu sync.Mutex
	var left []driver.Delivery
	var running sync.WaitGroup
	free := make(chan struct{}, c.cfg.Concurrency)
	for _, d := range received {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			if c.handlePushed(ctx, d) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			left = append(left, d)
		})
	}
	running.Wait()
	return left
}

// handlePushed reports whether a message is done, or given on.
func (c *Consumer) handlePushed(ctx context.Context, d driver.Delivery) bool {
	began := c.cfg.Now()
	ctx = c.cfg.Context(ctx, d.Message)
	v := verdict{outcome: outcomeInterrupted}
	if ctx.Err() == nil {
		v = c.decide(ctx, d)
	}
	var err error
	if v.outcome != outcomeInterrupted { // nobody knows anything against it: it comes again by itself
		err = c.answer(ctx, d, v)
	}
	c.report(ctx, d, v, c.cfg.Now().Sub(began), err)
	return err == nil && (v.outcome == outcomeDone || v.outcome == outcomeLater)
}
