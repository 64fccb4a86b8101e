package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// The limits of pages that are open.
const (
	// streamsMax bounds the pages that are kept up to date at once; others are
	// told to come again.
	streamsMax = 200
	// streamAge is how long one stream lasts; the browser opens the next.
	streamAge = 15 * time.Minute
	// beatInterval is how often a stream says that it lives.
	beatInterval = 10 * time.Second
	// liveShare is how much of the time the rendering of one page may take.
	liveShare = 20
	// kept is how long a fragment that nobody asks for is remembered.
	fragmentKept = 30 * time.Second
)

// live renders the pages that are open, each once for all who look at it.
type live struct {
	pages    http.Handler
	now      func() time.Time
	interval time.Duration
	streams  atomic.Int64

	mu        sync.Mutex
	fragments map[fragmentKey]*fragment
}

// fragmentKey is what the content of a page depends on.
type fragmentKey struct {
	address  string
	language restock.Language
	role     role
}

// fragment is the content of a page as it was a moment ago, with a slot where the
// token of each session goes.
type fragment struct {
	mu      sync.Mutex
	at      time.Time
	took    time.Duration
	usedAt  time.Time // under the lock of live
	status  int
	body    []byte
	version string
}

func newLive(pages http.Handler, now func() time.Time, interval time.Duration) *live {
	return &live{pages: pages, now: now, interval: interval, fragments: map[fragmentKey]*fragment{}}
}

// find gives the fragment of a key, and forgets those that nobody looks at.
func (l *live) find(key fragmentKey) *fragment {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.fragments[key]
	if !ok {
		for other, old := range l.fragments {
			if now.Sub(old.usedAt) > fragmentKept {
				delete(l.fragments, other)
			}
		}
		f = &fragment{}
		l.fragments[key] = f
	}
	f.usedAt = now
	return f
}

type fragmentOnly struct{}

// isFragment reports whether only the content of a page is asked for.
func isFragment(ctx context.Context) bool { return ctx.Value(fragmentOnly{}) != nil }

// look gives a page's content, at most an interval old. One that takes long to
// render is rendered less often.
func (l *live) look(r *http.Request, key fragmentKey) (int, []byte, string) {
	f := l.find(key)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := l.now()
	if age := now.Sub(f.at); f.body != nil && age >= 0 && age < max(l.interval-l.interval/liveShare, liveShare*f.took) {
		return f.status, f.body, f.version
	}
	answer := &recorder{header: http.Header{}, status: http.StatusOK}
	l.pages.ServeHTTP(answer, r)
	f.at, f.took = now, l.now().Sub(now)
	f.status, f.body, f.version = answer.status, answer.body.Bytes(), versionOf(answer.body.Bytes())
	return f.status, f.body, f.version
}

// versionOf names a content.
func versionOf(body []byte) string {
	const shown = 12
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:shown])
}

// recorder is an answer that stays here.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header         { return a.header }
func (a *recorder) WriteHeader(status int)      { a.status = status }
func (a *recorder) Write(p []byte) (int, error) { return a.body.Write(p) }

// events answers GET /dashboard/events?page=…&have=…: the content of a page
// whenever it has changed. The version that a browser has is not sent again.
func (d *Dashboard) events(w http.ResponseWriter, r *http.Request) {
	target, err := url.Parse(localPath(r.URL.Query().Get("page")))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if d.live.streams.Add(1) > streamsMax {
		d.live.streams.Add(-1)
		w.Header().Set("Retry-After", "10")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer d.live.streams.Add(-1)
	stream, err := web.OpenEventStream(w)
	if err != nil {
		return // the browser left
	}
	if err := d.follow(r, stream, target); err != nil {
		d.log.DebugContext(r.Context(), "a page is not followed any more", keyPage, target.Path, keyError, err)
	}
}

// follow sends what changes until the browser leaves, the session ends, or the
// server stops.
func (d *Dashboard) follow(r *http.Request, stream *web.EventStream, target *url.URL) error {
	s := sessionOf(r.Context())
	have := r.URL.Query().Get("have")
	began := d.cfg.Now()
	beat := began
	look := time.NewTicker(d.cfg.LiveInterval)
	defer look.Stop()
	for {
		now := d.cfg.Now()
		if now.Sub(beat) >= beatInterval {
			beat = now
			if err := stream.Beat(); err != nil {
				return err
			}
		}
		status, body, version := d.fragment(r, target, s.role)
		// After it is rendered: who signs out is sent nothing of what happens then.
		if _, ok := d.session(r); !ok || now.Sub(began) >= streamAge {
			return stream.Send("end", "", nil)
		}
		if version != have && status < http.StatusInternalServerError {
			if err := stream.Send("page", version, d.texts.fill(body, s.csrf)); err != nil {
				return err
			}
			have = version
		}
		select {
		case <-look.C:
		case <-r.Context().Done():
			return nil
		case <-web.Stopping(r.Context()):
			return nil
		}
	}
}

// fragment renders the content of a page as its own address would.
func (d *Dashboard) fragment(r *http.Request, target *url.URL, as role) (int, []byte, string) {
	// It is rendered for all who look, also when this one leaves meanwhile.
	ctx, cancel := context.WithTimeout(context.WithValue(context.WithoutCancel(r.Context()), fragmentOnly{}, true), d.cfg.ReadTimeout)
	defer cancel()
	request := r.Clone(ctx)
	request.Method, request.URL, request.RequestURI = http.MethodGet, target, target.RequestURI()
	return d.live.look(request, fragmentKey{address: target.RequestURI(), language: language(r), role: as})
}
