package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/web"
	"golang.org/x/sync/errgroup"
)

// The clock of a drill: days pass in seconds. A busy machine can be too late for
// it, so a row can be played at a slower pace, which is a factor of what has to
// end in time.
const (
	drillPace           = 1
	drillSlowPace       = 4
	drillLeadTime       = 300 * time.Millisecond
	drillSweepInterval  = 200 * time.Millisecond
	drillFactoryTimeout = time.Second
	drillLook           = 100 * time.Millisecond
)

// The two products of a drill: the one that is watched, and the one whose good
// order lets the factory be known.
const (
	drillSKU     = "DRILL"
	drillHistory = "HISTORY"
)

const drillCatalog = `factories:
  - identifier: FACTORY
    url: %s/api/manufactures
    lead_time: %s
    rate_per_second: 100
    %s
products:
  - {sku: DRILL, name: Drill, price: 1, opening_stock: 1, factory: FACTORY, order_quantity: 6}
  - {sku: HISTORY, name: History, price: 1, opening_stock: 1, factory: FACTORY, order_quantity: 1}
`

// drillStage is one restock and one factory, in a folder of their own.
type drillStage struct {
	row       drillRow
	pace      int // a factor
	dir       string
	log       *os.File
	app       *app
	simulator *factory.Simulator
	factory   *web.Server
	group     *errgroup.Group
	stop      context.CancelFunc
	gate      chan struct{} // closed when callbacks may go
	opened    bool
	seen      drillSeen

	mu       sync.Mutex
	calls    int            // of the watched product, to choose how each is treated
	posts    map[string]int // by callback address
	accepted int
	shipped  int64
	callback []int // statuses that the factory's callbacks were answered with
}

// newDrillStage opens both and lets them run.
func newDrillStage(ctx context.Context, row drillRow, pace int) (*drillStage, error) {
	dir, err := os.MkdirTemp("", "restock-drill-"+row.name+"-")
	if err != nil {
		return nil, err
	}
	s := &drillStage{row: row, pace: pace, dir: dir, gate: make(chan struct{}), posts: map[string]int{}}
	if s.log, err = os.Create(filepath.Join(dir, "restock.log")); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	if err := s.build(ctx, log); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.group, ctx = errgroup.WithContext(ctx)
	s.group.Go(func() error { return s.simulator.Run(ctx) })
	s.group.Go(func() error { return s.factory.Run(ctx) })
	s.group.Go(func() error { return s.app.run(ctx) })
	return s, nil
}

func (s *drillStage) build(ctx context.Context, log *slog.Logger) error {
	s.simulator = factory.NewSimulator(factory.SimulatorConfig{
		LeadTime: drillLeadTime, Logger: log, Misbehave: s.treat, OnAccept: s.onAccept, OnCallback: s.onCallback,
		Pace: factory.Pace{
			Late: time.Nanosecond, // the gate makes it late
			Slow: drillFactoryTimeout / 4, Drip: drillFactoryTimeout / 8, Gap: drillLook, RetryAfter: time.Second,
		},
		CallbackTimeout: time.Duration(s.pace) * drillRowTimeout, Transport: s.transport(),
	})
	s.factory = web.NewServer(web.Config{Name: "factory", Handler: s.counted(s.simulator), Logger: log})
	if err := s.factory.Listen(ctx, "127.0.0.1:0"); err != nil {
		return err
	}
	catalog := filepath.Join(s.dir, "catalog.yaml")
	text := fmt.Sprintf(drillCatalog, s.factory.URL(), drillLeadTime, s.row.policy)
	const ownerOnly = 0o600
	err := os.WriteFile(catalog, []byte(text), ownerOnly)
	if err == nil {
		s.app, err = openApp(ctx, s.settings(catalog), log)
	}
	if err != nil {
		return errors.Join(err, s.factory.Close())
	}
	return nil
}

func (s *drillStage) settings(catalog string) settings {
	cfg := demoSettings(s.dir, catalog)
	cfg.CallbackWindow, cfg.SweepInterval, cfg.FactoryTimeout = windowLong, drillSweepInterval, time.Duration(s.pace)*drillFactoryTimeout
	cfg.AlertGap = time.Millisecond // each problem is told at once, not in one mail with later ones
	if s.row.window > 0 {
		cfg.CallbackWindow = time.Duration(s.pace) * s.row.window
	}
	return cfg
}

// treat gives each call for the watched product its misbehaviour in turn.
func (s *drillStage) treat(job factory.Job) factory.Misbehaviour {
	if job.Report.ProductID != drillSKU {
		return factory.WellBehaved
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls <= len(s.row.treat) {
		return s.row.treat[s.calls-1]
	}
	return factory.WellBehaved
}

// counted notes each call for the watched product that the factory sees.
func (s *drillStage) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, factory.SimulatorBodyBytesMax))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if report := factory.ParseCallback(body); report.ProductID == drillSKU {
			s.mu.Lock()
			s.posts[report.CallbackURL]++
			s.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// onAccept counts what really leaves the factory, whatever it reports.
func (s *drillStage) onAccept(job factory.Job) {
	if job.Report.ProductID != drillSKU {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	if job.Misbehaviour != factory.Silent && job.Misbehaviour != factory.Amnesia {
		s.shipped += job.Report.Count
	}
}

func (s *drillStage) onCallback(job factory.Job, status int, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callback = append(s.callback, status)
}

// gated is a transport that holds the watched product's callbacks back.
type gated struct {
	next http.RoundTripper
	gate <-chan struct{}
}

// RoundTrip waits for the gate.
func (g gated) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, strings.ToLower(drillSKU)) {
		select {
		case <-g.gate:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return g.next.RoundTrip(r)
}

func (s *drillStage) transport() http.RoundTripper {
	if s.row.after == "" {
		return nil
	}
	return gated{&http.Transport{DisableKeepAlives: true}, s.gate}
}

// play sells, waits until what must come has come and nothing moves any more,
// and gives what is wrong.
func (s *drillStage) play(ctx context.Context) []string {
	if s.row.known {
		if err := s.meet(ctx); err != nil {
			return []string{err.Error()}
		}
	}
	if err := buyDrill(ctx, s.app.publicURL(), drillSKU); err != nil {
		return []string{err.Error()}
	}
	s.until(ctx, s.settled)
	return s.judge(ctx)
}

// judge gives what is wrong at the end. It has its own time: a row whose time
// is over is judged too.
func (s *drillStage) judge(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drillRowTimeout)
	defer cancel()
	// What there is to tell is told now, so that nothing untold is overlooked.
	if err := errors.Join(s.app.office.Tell(ctx), s.observe(ctx)); err != nil {
		return []string{err.Error()}
	}
	checks, err := s.app.store.Verify(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	return slices.Concat(s.seen.differs(s.row.want), s.seen.breaks(), brokenChecks(checks))
}

// meet has the factory deliver once.
func (s *drillStage) meet(ctx context.Context) error {
	if err := buyDrill(ctx, s.app.publicURL(), drillHistory); err != nil {
		return err
	}
	var last error
	s.until(ctx, func(ctx context.Context) bool {
		var orders []restock.Order
		orders, _, last = s.app.store.Orders(ctx, restock.ListQuery{Product: drillHistory})
		return len(orders) == 1 && orders[0].State == restock.OrderReceived
	})
	return errors.Join(last, ctx.Err())
}

// until looks until something is so, or the row's time is over.
func (s *drillStage) until(ctx context.Context, so func(context.Context) bool) {
	look := time.NewTicker(drillLook)
	defer look.Stop()
	for !so(ctx) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// settled reports whether all is as it must be and nothing is on its way.
func (s *drillStage) settled(ctx context.Context) bool {
	if err := s.observe(ctx); err != nil {
		return false
	}
	if !s.opened && slices.Contains(s.seen.told, s.row.after) {
		s.opened = true
		close(s.gate)
	}
	return s.seen.quiet && len(s.seen.differs(s.row.want)) == 0
}

// clear ends the stage and removes its folder, or gives it when it must stay.
func (s *drillStage) clear(passed bool) string {
	s.stop()
	err := errors.Join(s.group.Wait(), s.app.close(), s.log.Close())
	if err == nil && passed {
		err = os.RemoveAll(s.dir)
	}
	if err == nil && passed {
		return ""
	}
	return s.dir
}

func buyDrill(ctx context.Context, url, sku string) error {
	status, answer, err := buy(ctx, url, sku)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the purchase of %s was answered %d %s", sku, status, answer)
	}
	return err
}

// drillTitles reads what operations were told out of the mails in a folder,
// each title once.
func drillTitles(folder string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*-"+ops.KindAlert+"-*.eml"))
	if err != nil {
		return nil, err
	}
	var titles []string
	for _, path := range paths {
		text, err := mailText(path)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			title, isTitle := strings.CutPrefix(strings.TrimSpace(line), "* ")
			if title = strings.TrimSuffix(title, " "+drillSKU); isTitle && !slices.Contains(titles, title) {
				titles = append(titles, title)
			}
		}
	}
	slices.Sort(titles)
	return titles, nil
}

// mailText is the text of a mail, the first part of one that has HTML too.
func mailText(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	message, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	body, encoding := message.Body, message.Header.Get("Content-Transfer-Encoding")
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err == nil && strings.HasPrefix(kind, "multipart/") {
		part, err := multipart.NewReader(body, parameters["boundary"]).NextRawPart()
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		body, encoding = part, part.Header.Get("Content-Transfer-Encoding")
	}
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	return string(text), err
}
