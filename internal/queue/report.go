package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// The keys of what is logged about messages.
const (
	keyQueue     = "queue"
	keyMessageID = "message_id"
	keyType      = "type"
	keySubject   = "subject"
	keyReceives  = "receives"
	keyDuration  = "duration"
	keyOutcome   = "outcome"
	keyRetryIn   = "retry_in"
	keyError     = "error"
	keyAnswer    = "answer_error"
	keyStack     = "stack"
)

func unknownTypeError(messageType string) error {
	return fmt.Errorf("no handler for messages of type %q: run a version that knows it, then redrive", messageType)
}

func receivesUsedUpError(receives int) error {
	return fmt.Errorf("received %d times without an answer: its handler may end the process; "+
		"look at the failures, then redrive or discard", receives)
}

// report writes the one line about a delivery. answerErr is why the driver did
// not take the verdict, if so.
func (c *Consumer) report(
	ctx context.Context, d driver.Delivery, v verdict, took time.Duration, answerErr error,
) {
	result := v.outcome
	switch {
	case errors.Is(answerErr, driver.ErrStale):
		result = outcomeLost
	case answerErr != nil:
		result = outcomeUnanswered
	}
	c.cfg.Observe(string(result), took)
	attrs := []slog.Attr{
		slog.String(keyType, d.Type),
		slog.String(keyMessageID, d.ID.String()),
		slog.String(keySubject, d.Subject),
		slog.Int(keyReceives, d.Receives),
		slog.Duration(keyDuration, took),
		slog.String(keyOutcome, string(result)),
	}
	if v.delay > 0 {
		attrs = append(attrs, slog.Duration(keyRetryIn, v.delay))
	}
	if v.err != nil {
		attrs = append(attrs, slog.String(keyError, v.err.Error()))
	}
	if answerErr != nil {
		attrs = append(attrs, slog.String(keyAnswer, answerErr.Error()))
	}
	if p, ok := errors.AsType[*panicError](v.err); ok {
		attrs = append(attrs, slog.String(keyStack, string(p.stack)))
	}
	c.log.LogAttrs(ctx, levelOf(result), "message", attrs...)
}

// levelOf raises what a person should look at.
func levelOf(o outcome) slog.Level {
	switch o {
	case outcomeDead, outcomeUnanswered:
		return slog.LevelError
	case outcomeRetry, outcomeLost:
		return slog.LevelWarn
	case outcomeDone, outcomeLater, outcomeInterrupted:
		return slog.LevelInfo
	}
	return slog.LevelInfo
}
