package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
)

const (
	stockLow   = "stock.low"
	stockQueue = "stock-queue"
)

// script is a driver that gives what the test put into it, and notes every
// answer with the time since its beginning. Tests of Consumer alone use it, in
// the fake time of synctest; that real engines fit is shown by queuetest.
type script struct {
	deliveries chan driver.Delivery
	began      time.Time

	mu     sync.Mutex
	notes  []string
	extend func(n int) error                      // the answer to extension n, from 1
	settle func(n int) error                      // the answer to the nth answer, from 1
	empty  func(ctx context.Context, n int) error // what the nth receive does before it waits
	counts [3]int
}

func newScript(deliveries ...driver.Delivery) *script {
	s := &script{
		deliveries: make(chan driver.Delivery, 10),
		began:      time.Now(),
		extend:     func(int) error { return nil },
		settle:     func(int) error { return nil },
		empty:      func(context.Context, int) error { return nil },
	}
	for _, d := range deliveries {
		s.deliveries <- d
	}
	return s
}

func (s *script) notef(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf("%s %s", time.Since(s.began), fmt.Sprintf(format, args...)))
}

func (s *script) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes
}

func (s *script) Receive(ctx context.Context, _ string, r driver.Request) ([]driver.Delivery, error) {
	s.mu.Lock()
	s.counts[0]++
	n := s.counts[0]
	s.mu.Unlock()
	if err := s.empty(ctx, n); err != nil {
		return nil, err
	}
	select {
	case d := <-s.deliveries:
		return []driver.Delivery{d}, nil
	case <-time.After(r.Wait):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *script) answerf(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[1]++
	s.notef(format, args...)
	return s.settle(s.counts[1])
}

func (s *script) Done(context.Context, driver.Delivery) error { return s.answerf("done") }

func (s *script) Retry(_ context.Context, _ driver.Delivery, delay time.Duration, cause string) error {
	return s.answerf("retry after %s: %s", delay, cause)
}

func (s *script) Later(_ context.Context, _ driver.Delivery, delay time.Duration) error {
	return s.answerf("later after %s", delay)
}

func (s *script) Dead(_ context.Context, _ driver.Delivery, cause string) error {
	return s.answerf("dead: %s", cause)
}

func (s *script) Extend(_ context.Context, _ driver.Delivery, visibility time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[2]++
	s.notef("extend by %s", visibility)
	return s.extend(s.counts[2])
}

func delivery(receives int) driver.Delivery {
	return driver.Delivery{
		Message:  driver.Message{ID: driver.ID{15: 1}, Type: stockLow, Subject: "CP-502101"},
		Queue:    stockQueue,
		Receives: receives,
		Handle:   "1",
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run runs a consumer for an hour of fake time and gives what the driver was
// told.
func run(t *testing.T, s *script, cfg queue.Config, handler queue.Handler) []string {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	if cfg.Random == nil {
		cfg.Random = func() float64 { return 0.5 }
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	consumer := queue.New(s, stockQueue, map[string]queue.Handler{stockLow: handler}, cfg)
	if err := consumer.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	return s.noted()
}

func diff(t *testing.T, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("what the driver was told (-got +want):\n%s", d)
	}
}

func TestWhatAHandlerReturnsSteersTheMessage(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, c := range []struct {
		name     string
		receives int
		result   error
		want     string
	}{
		{"nil", 1, nil, "0s done"},
		{"an error", 1, broken, "0s retry after 500ms: broken"},
		{"an error again", 4, broken, "0s retry after 4s: broken"},
		{"an error for the last time", 5, broken, "0s dead: broken"},
		{"an error that asks for time", 1, queue.After(broken, time.Minute), "0s retry after 1m0s: broken"},
		{"one within an error", 1, fmt.Errorf("order: %w", queue.After(broken, time.Minute)), "0s retry after 1m0s: order: broken"},
		{"one that asks for less than it takes", 4, queue.After(broken, time.Second), "0s retry after 4s: broken"},
		{"one for the last time", 5, queue.After(broken, time.Minute), "0s dead: broken"},
		{"discard", 1, queue.Discard(broken), "0s dead: broken"},
		{"discard in an error", 1, fmt.Errorf("order: %w", queue.Discard(broken)), "0s dead: order: broken"},
		{"discard without cause", 1, queue.Discard(nil), "0s dead: discarded by its handler"},
		{"later", 5, queue.Later(time.Minute), "0s later after 1m0s"},
		{"later in an error", 1, fmt.Errorf("order: %w", queue.Later(time.Minute)), "0s later after 1m0s"},
		{"later in the past", 1, queue.Later(-time.Minute), "0s later after 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScript(delivery(c.receives))
				got := run(t, s, queue.Config{}, func(context.Context, queue.Message) error { return c.result })
				diff(t, got, c.want)
			})
		})
	}
}

// TestAMessageThatKillsTheProcessIsNotRunForEver: nobody lived to answer for it
// five times, so it is not given to a handler again.
func TestAMessageThatKillsTheProcessIsNotRunForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := run(t, newScript(delivery(6)), queue.Config{}, func(context.Context, queue.Message) error {
			t.Error("the handler ran")
			return nil
		})
		if len(got) != 1 || !strings.HasPrefix(got[0], "0s dead: received 5 times without an answer") {
			t.Errorf("the driver was told %q, want one dead letter", got)
		}
	})
}

func TestASlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := run(t, newScript(delivery(1)), queue.Config{}, func(context.Context, queue.Message) error {
			time.Sleep(50 * time.Second)
			return nil
		})
		diff(t, got, "15s extend by 30s", "30s extend by 30s", "45s extend by 30s", "50s done")
	})
}

func TestAnExtensionThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(delivery(1))
		s.extend = func(n int) error {
			if n == 1 {
				return errors.New("database is away")
			}
			return nil
		}
		got := run(t, s, queue.Config{}, func(context.Context, queue.Message) error {
			time.Sleep(40 * time.Second)
			return nil
		})
		diff(t, got, "15s extend by 30s", "30s extend by 30s", "40s done")
	})
}

func TestAHandlerThatLostItsMessageIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(delivery(1))
		s.extend = func(int) error { return driver.ErrStale }
		s.settle = func(int) error { return driver.ErrStale }
		got := run(t, s, queue.Config{}, untilCancelled)
		diff(t, got, "15s extend by 30s", "15s retry after 500ms: context canceled")
	})
}

func untilCancelled(ctx context.Context, _ queue.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestAHandlerHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := run(t, newScript(delivery(1)), queue.Config{HandlerTimeout: 20 * time.Second}, untilCancelled)
		diff(t, got, "15s extend by 30s", "20s retry after 500ms: context deadline exceeded")
	})
}

// TestAHandlerBeyondItsDeadlineHoldsNothing: a handler that hangs must not keep
// its message from others.
func TestAHandlerBeyondItsDeadlineHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := run(t, newScript(delivery(1)), queue.Config{HandlerTimeout: 20 * time.Second},
			func(context.Context, queue.Message) error {
				time.Sleep(10 * time.Minute)
				return nil
			})
		diff(t, got, "15s extend by 30s", "10m0s done")
	})
}

func TestADriverThatFailsIsAskedAgainForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(delivery(1))
		s.empty = func(_ context.Context, n int) error {
			if n <= 20 {
				return errors.New("database is away")
			}
			return nil
		}
		got := run(t, s, queue.Config{}, func(context.Context, queue.Message) error { return nil })
		// 50 ms, 100 ms … 3.2 s, then half of the most, 5 s, thirteen times.
		diff(t, got, "1m11.35s done")
	})
}

func TestAnAnswerThatFailsIsGivenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(delivery(1))
		s.settle = func(n int) error {
			if n <= 2 {
				return errors.New("database is away")
			}
			return nil
		}
		got := run(t, s, queue.Config{}, func(context.Context, queue.Message) error { return nil })
		diff(t, got, "0s done", "50ms done", "150ms done")
	})
}

// TestAnAnswerIsGivenUpWhenTheMessageIsNoLongerOurs: after the visibility it
// comes again anyway.
func TestAnAnswerIsGivenUpWhenTheMessageIsNoLongerOurs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript(delivery(1))
		s.settle = func(int) error { return errors.New("database is away") }
		got := run(t, s, queue.Config{}, func(context.Context, queue.Message) error { return nil })
		last, _, _ := strings.Cut(got[len(got)-1], " ")
		if d, err := time.ParseDuration(last); err != nil || d > 40*time.Second {
			t.Errorf("last try after %s, want it near the visibility of 30s", last)
		}
	})
}

func TestAStopWaitsForHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := stopInHandler(t, queue.Config{Visibility: time.Hour}, func(context.Context, queue.Message) error {
			time.Sleep(9 * time.Second)
			return nil
		})
		diff(t, got, "9s done")
	})
}

// stopInHandler stops a consumer just after its handler began.
func stopInHandler(t *testing.T, cfg queue.Config, handler queue.Handler) []string {
	t.Helper()
	cfg.Logger = quiet()
	ctx, stop := context.WithCancel(t.Context())
	s := newScript(delivery(1))
	consumer := queue.New(s, stockQueue, map[string]queue.Handler{
		stockLow: func(ctx context.Context, m queue.Message) error {
			stop()
			return handler(ctx, m)
		},
	}, cfg)
	if err := consumer.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	return s.noted()
}

// TestAStopInterruptsHandlersAtLast: that is no failure of the message.
func TestAStopInterruptsHandlersAtLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := stopInHandler(t, queue.Config{Visibility: time.Hour}, untilCancelled)
		diff(t, got, "10s later after 0s")
	})
}

func TestAStopDoesNotWaitForAHandlerThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := stopInHandler(t, queue.Config{Visibility: time.Hour}, func(context.Context, queue.Message) error {
			time.Sleep(time.Minute)
			return nil
		})
		diff(t, got)
		if took := time.Since(began); took != 11*time.Second {
			t.Errorf("stopped after %s, want 11s", took)
		}
		time.Sleep(time.Minute) // until the handler ends, as synctest demands
	})
}

// TestAMessageReceivedWhileStoppingIsGivenBack: the engine may have claimed it
// in the very moment of the stop.
func TestAMessageReceivedWhileStoppingIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s := newScript()
		s.empty = func(context.Context, int) error {
			stop()
			s.deliveries <- delivery(1)
			return nil
		}
		consumer := queue.New(deaf{s}, stockQueue, map[string]queue.Handler{
			stockLow: func(context.Context, queue.Message) error {
				t.Error("the handler ran")
				return nil
			},
		}, queue.Config{Logger: quiet()})
		if err := consumer.Run(ctx); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		diff(t, s.noted(), "0s later after 0s")
	})
}

// deaf is a driver that does not notice the end of the context of a receive.
type deaf struct{ *script }

func (d deaf) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	return d.script.Receive(context.WithoutCancel(ctx), queue, r)
}

func TestNoMoreMessagesAreTakenThanWorkersAreFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		for range 10 {
			s.deliveries <- delivery(1)
		}
		var mu sync.Mutex
		running, most := 0, 0
		got := run(t, s, queue.Config{Concurrency: 3, Visibility: time.Hour}, func(context.Context, queue.Message) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		})
		if most != 3 || len(got) != 10 {
			t.Errorf("%d messages were handled, %d at once, want 10 and 3", len(got), most)
		}
	})
}

// TestEveryMessageHasOneLineInTheLog, and a panic says where it was.
func TestEveryMessageHasOneLineInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newScript(delivery(2))
		run(t, s, queue.Config{Logger: slog.New(slog.NewJSONHandler(&out, nil))},
			func(context.Context, queue.Message) error {
				time.Sleep(time.Second)
				panic("no donuts")
			})
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("log is not one line: %v\n%s", err, &out)
		}
		stack, _ := line["stack"].(string)
		if !strings.Contains(stack, "consumer_test.go") {
			t.Errorf("stack = %q, want the place of the panic", stack)
		}
		delete(line, "stack")
		delete(line, "time")
		want := map[string]any{
			"level": "WARN", "msg": "message", "queue": stockQueue, "type": stockLow,
			"message_id": "00000000-0000-0000-0000-000000000001", "subject": "CP-502101", "receives": 2.0,
			"duration": 1e9, "outcome": "retry", "retry_in": 1e9, "error": "panic: no donuts",
		}
		if d := cmp.Diff(line, want); d != "" {
			t.Errorf("log line (-got +want):\n%s", d)
		}
	})
}

// TestAMessageIsHandledAndLoggedInAContextOfItsOwn, whether it is asked for or
// pushed: its trace is in there.
func TestAMessageIsHandledAndLoggedInAContextOfItsOwn(t *testing.T) {
	t.Parallel()
	type key struct{}
	for name, handle := range map[string]func(*testing.T, *script, queue.Config, queue.Handler){
		"asked for": func(t *testing.T, s *script, cfg queue.Config, h queue.Handler) { t.Helper(); run(t, s, cfg, h) },
		"pushed": func(t *testing.T, s *script, cfg queue.Config, h queue.Handler) {
			t.Helper()
			queue.New(s, stockQueue, map[string]queue.Handler{stockLow: h}, cfg).Handle(t.Context(), []driver.Delivery{delivery(1)})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var handled, logged any
			handle(t, newScript(delivery(1)), queue.Config{
				Context: func(ctx context.Context, m queue.Message) context.Context {
					return context.WithValue(ctx, key{}, m.Subject)
				},
				Logger: slog.New(contextLog{slog.DiscardHandler, func(ctx context.Context) { logged = ctx.Value(key{}) }}),
			}, func(ctx context.Context, _ queue.Message) error {
				handled = ctx.Value(key{})
				return nil
			})
			if handled != "CP-502101" || logged != "CP-502101" {
				t.Errorf("%s: handled in a context of %v, logged in one of %v; want the message's", name, handled, logged)
			}
		})
	}
}

// contextLog is told the context of each line.
type contextLog struct {
	slog.Handler
	of func(context.Context)
}

func (contextLog) Enabled(context.Context, slog.Level) bool { return true }

func (l contextLog) Handle(ctx context.Context, _ slog.Record) error {
	l.of(ctx)
	return nil
}

func (l contextLog) WithAttrs([]slog.Attr) slog.Handler { return l }
