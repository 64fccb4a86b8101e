package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/restock/restock"
)

// TestThePromisesAreCheckedWhileSomebodyLooks: at first, and again when the
// last time is long ago; a check that takes long is made less often.
func TestThePromisesAreCheckedWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		checks, takes := 0, time.Second
		v := newVerifier(func(context.Context) ([]restock.Check, error) {
			checks++
			time.Sleep(takes)
			return []restock.Check{{Name: "one"}, {Name: "two", Broken: 1}}, nil
		}, Config{Now: time.Now, VerifyInterval: time.Minute})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = v.run(ctx, slog.New(slog.DiscardHandler)) }()
		look := func(after time.Duration, want int) verified {
			t.Helper()
			time.Sleep(after)
			last := v.look()
			v.look() // ten look as one does
			synctest.Wait()
			time.Sleep(takes) // the check is made
			synctest.Wait()
			if checks != want {
				t.Errorf("%d checks were made, want %d", checks, want)
			}
			return last
		}
		if last := look(time.Hour, 1); last.Known() {
			t.Errorf("something is known before anybody looked: %+v", last)
		}
		if last := look(time.Second, 1); !last.Known() || len(last.Broken()) != 1 || last.Took != time.Second {
			t.Errorf("the check is %+v", last)
		}
		takes = time.Minute
		look(time.Minute, 2)
		look(5*time.Minute, 2) // it took a minute: not again for twenty
		look(20*time.Minute, 3)
	})
}

func TestACheckThatFailsIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails := true
		v := newVerifier(func(context.Context) ([]restock.Check, error) {
			if fails {
				return nil, errors.New("the database is away")
			}
			return []restock.Check{{Name: "one"}}, nil
		}, Config{Now: time.Now, VerifyInterval: time.Minute})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = v.run(ctx, slog.New(slog.DiscardHandler)) }()
		v.look()
		synctest.Wait()
		if last := v.look(); !last.Failed || last.Known() {
			t.Errorf("a check that failed is %+v", last)
		}
		fails = false
		v.ask()
		synctest.Wait()
		if last := v.look(); last.Failed || !last.Known() {
			t.Errorf("the next is %+v", last)
		}
	})
}
