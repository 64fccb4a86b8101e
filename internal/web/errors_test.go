package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   restock.Code
	}{
		{restock.Errorf(restock.Invalid, "", "x"), 400, restock.CodeInvalid},
		{restock.Errorf(restock.NotFound, restock.CodeUnknownProduct, "x"), 404, restock.CodeUnknownProduct},
		{restock.Errorf(restock.Conflict, "", "x"), 409, restock.CodeConflict},
		{restock.Errorf(restock.OutOfStock, "", "x"), 409, restock.CodeOutOfStock},
		{restock.Errorf(restock.Unauthorized, "", "x"), 401, restock.CodeUnauthorized},
		{restock.Errorf(restock.TooLarge, "", "x"), 413, restock.CodeTooLarge},
		{restock.Errorf(restock.Unavailable, "", "x"), 503, restock.CodeUnavailable},
		{restock.Errorf(restock.Internal, "", "x"), 500, restock.CodeInternal},
		{restock.Errorf(restock.Conflict, restock.CodeKeyReused, "x"), 422, restock.CodeKeyReused},
		{restock.Errorf(restock.Unavailable, restock.CodeRateLimited, "x"), 429, restock.CodeRateLimited},
		{fmt.Errorf("sell: %w", restock.Errorf(restock.OutOfStock, "", "x")), 409, restock.CodeOutOfStock},
		{fmt.Errorf("sell: %w", context.DeadlineExceeded), 503, restock.CodeUnavailable},
		{fmt.Errorf("sell: %w", context.Canceled), 503, restock.CodeUnavailable},
		{errors.New("disk is full"), 500, restock.CodeInternal},
	} {
		got := web.FaultOf(c.err)
		if got.Status != c.status || got.Code != c.code {
			t.Errorf("FaultOf(%v) = %d %s, want %d %s", c.err, got.Status, got.Code, c.status, c.code)
		}
	}
}

func TestProblemIsRFC9457(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	web.Problem(w, r, nil, &restock.Error{
		Kind: restock.Unavailable, Code: restock.CodeUnavailable, Message: "Busy. Try again.", Err: errors.New("hidden"),
	})
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "about:blank", "title": "Service Unavailable", "status": 503.0,
		"detail": "Busy. Try again.", "code": "unavailable",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := w.Header().Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q, want 1", got)
	}
}

func TestInternalTextGoesToTheLogOnly(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"plain": errors.New("password in dsn"),
		"kind":  restock.Errorf(restock.Internal, restock.CodeInternal, "password in dsn"),
	} {
		var book logBook
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?token=geheim", http.NoBody)
		web.Problem(w, r, book.logger(slog.LevelInfo), err)
		if strings.Contains(w.Body.String(), "password") {
			t.Errorf("%s: the answer has the cause: %s", name, w.Body)
		}
		lines := book.lines(t, "request not served")
		if len(lines) != 1 || lines[0][web.KeyError] != "password in dsn" || lines[0][slog.LevelKey] != "ERROR" {
			t.Errorf("%s: log %v, want one error line with the cause", name, lines)
		}
		if strings.Contains(book.String(), "geheim") {
			t.Errorf("%s: the log has the query", name)
		}
	}
}

func TestAnswerThatCannotBeEncodedIs500(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	w := serve(func(w http.ResponseWriter, _ *http.Request) {
		web.WriteJSON(w, http.StatusOK, func() {})
	}, r, web.LogConfig{})
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", w.Code)
	}
}
