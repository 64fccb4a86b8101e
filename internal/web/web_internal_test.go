package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
)

//nolint:paralleltest // AllocsPerRun counts for the whole process.
func TestLineThatIsOffAllocatesNothing(t *testing.T) {
	handler := slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})
	l := &requestLog{logger: slog.New(handler)}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", http.NoBody)
	x := &exchange{status: http.StatusOK}
	if got := testing.AllocsPerRun(100, func() { l.write(r, x, time.Second) }); got != 0 {
		t.Errorf("%.0f allocations, want 0", got)
	}
}

func FuzzLanguage(f *testing.F) {
	f.Add("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7, *;q=0.1")
	f.Add("en;q=1.000")
	f.Fuzz(func(t *testing.T, header string) {
		r := (&http.Request{Header: http.Header{"Accept-Language": {header}}}).WithContext(t.Context())
		language := Language(r)
		if language != restock.Korean && language != restock.English {
			t.Fatalf("%q gives %q", header, language)
		}
		if language == restock.English && !strings.ContainsAny(header, "eE*") {
			t.Errorf("%q prefers English", header)
		}
	})
}

func FuzzParseQuality(f *testing.F) {
	f.Add("0.123")
	f.Add("1.")
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := parseQuality(in)
		if !ok {
			return
		}
		want, err := strconv.ParseFloat(in, 64)
		if err != nil || int(want*qualityMax+0.5) != got || got > qualityMax {
			t.Errorf("parseQuality(%q) = %d, want %f (%v)", in, got, want*qualityMax, err)
		}
	})
}

// BenchmarkLog is what the middleware costs a request: with lines off, and on.
func BenchmarkLog(b *testing.B) {
	for name, level := range map[string]slog.Level{"off": slog.LevelWarn, "on": slog.LevelInfo} {
		b.Run(name, func(b *testing.B) {
			logger := slog.New(slog.NewJSONHandler(discard{}, &slog.HandlerOptions{Level: level}))
			h := Log(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), LogConfig{Logger: logger})
			r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/checkout", http.NoBody)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// discard is not io.Discard, which slog handlers could recognise.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
