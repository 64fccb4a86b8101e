package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

func well(context.Context) error { return nil }

func ask(t *testing.T, h *web.Health, path string) (int, []web.CheckResult) {
	t.Helper()
	mux := http.NewServeMux()
	h.Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	var got struct {
		Checks []web.CheckResult `json:"checks"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return w.Code, got.Checks
}

func TestReadyTellsEachCheckWithoutItsError(t *testing.T) {
	t.Parallel()
	var book logBook
	h := web.NewHealth(book.logger(slog.LevelInfo),
		web.Check{Name: "queue", Run: well},
		web.Check{Name: "store", Run: func(context.Context) error { return errors.New("password in dsn") }},
		web.Check{Name: "mail", Run: func(context.Context) error {
			return restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "No mail server. Set --mail.")
		}},
		web.Check{Name: "mad", Run: func(context.Context) error { panic("kaputt") }})
	want := []web.CheckResult{
		{Name: "queue", OK: true},
		{Name: "store", Detail: "failing; the log says why"},
		{Name: "mail", Detail: "No mail server. Set --mail."},
		{Name: "mad", Detail: "failing; the log says why"},
	}
	for range 2 {
		status, got := ask(t, h, web.ReadyPath)
		if status != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", status)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("checks (-want +got):\n%s", diff)
		}
	}
	if got := len(book.lines(t, "health check fails")); got != 3 {
		t.Errorf("%d lines for 3 failing checks asked twice, want 3", got)
	}
	if status, _ := ask(t, h, web.LivePath); status != http.StatusOK {
		t.Errorf("%s: status %d, want 200", web.LivePath, status)
	}
}

func TestReadyWithoutChecksAndWithAdvisoryOnes(t *testing.T) {
	t.Parallel()
	dead := func(context.Context) error { return errors.New("dead letters") }
	for _, checks := range [][]web.Check{nil, {{Name: "dead", Run: dead, Advisory: true}}} {
		status, got := ask(t, web.NewHealth(nil, checks...), web.ReadyPath)
		if status != http.StatusOK {
			t.Errorf("%+v: status %d, want 200", got, status)
		}
	}
}

func TestHangingCheckIsGivenUpAndRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		var runs atomic.Int64
		release := make(chan struct{})
		h := web.NewHealth(book.logger(slog.LevelInfo), web.Check{Name: "store", Run: func(context.Context) error {
			runs.Add(1)
			<-release // in spite of its context
			return nil
		}}, web.Check{Name: "queue", Run: well})
		want := []web.CheckResult{{Name: "store", Detail: "no answer within 2s"}, {Name: "queue", OK: true}}
		began := time.Now()
		for range 3 {
			got, ready := h.Ready(t.Context())
			if diff := cmp.Diff(want, got); diff != "" || ready {
				t.Errorf("ready %t, checks (-want +got):\n%s", ready, diff)
			}
		}
		if took := time.Since(began); took != 3*web.CheckTimeout {
			t.Errorf("three times took %s, want %s", took, 3*web.CheckTimeout)
		}
		if got := runs.Load(); got != 1 {
			t.Errorf("the hanging check runs %d times at once, want 1", got)
		}
		if got := len(book.lines(t, "health check fails")); got != 1 {
			t.Errorf("%d lines about it, want 1", got)
		}

		close(release)
		synctest.Wait()
		if _, ready := h.Ready(t.Context()); !ready {
			t.Error("not ready after the check recovered")
		}
		if got := len(book.lines(t, "health check passes again")); got != 1 {
			t.Errorf("%d lines about its recovery, want 1", got)
		}
	})
}

// TestACheckThatCostsSomethingIsKept: however many ask, it is made now and then.
func TestACheckThatCostsSomethingIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		h := web.NewHealth(nil, web.Check{Name: "broker", Kept: 5 * time.Second, Run: func(context.Context) error {
			runs++
			return restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "run %d", runs)
		}})
		for _, wait := range []time.Duration{0, time.Second, 3 * time.Second} {
			time.Sleep(wait) // of the test's own clock
			if got, _ := h.Ready(t.Context()); got[0].Detail != "run 1" {
				t.Errorf("%s later it says %q, want what it said before", wait, got[0].Detail)
			}
		}
		time.Sleep(time.Second)
		if got, _ := h.Ready(t.Context()); got[0].Detail != "run 2" {
			t.Errorf("after five seconds it says %q, want it to be looked at again", got[0].Detail)
		}
	})
}
