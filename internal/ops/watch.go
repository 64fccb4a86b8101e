package ops

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/webhook"
)

const (
	// engineTimeout is how long an engine may take to tell its depths, and
	// statusTimeout the same while somebody waits for the status.
	engineTimeout = 5 * time.Second
	statusTimeout = 2 * time.Second
	// watchShare bounds what looking costs the database: at a backlog of millions
	// a look takes long, and the next one comes the later, up to watchPauseMax.
	watchShare    = 20
	watchPauseMax = time.Minute
	// watchIntervalMin and watchIntervalMax bound how often the queues are looked
	// at, looksPerLimit says how often within the shortest limit.
	watchIntervalMin = time.Second
	watchIntervalMax = 10 * time.Second
	looksPerLimit    = 6

	detailRunesMax = 300
)

// Incidents keeps what looks at the queues have found.
type Incidents interface {
	// Observe opens an incident for each condition that is present, and closes
	// those that were clear for hold.
	Observe(ctx context.Context, look restock.Look, hold time.Duration) error
	// FailingWebhooks are the subscriptions that took nothing since they first failed.
	FailingWebhooks(ctx context.Context) ([]restock.Webhook, error)
}

// watch is what one process remembers between two looks.
type watch struct {
	suspected map[string]bool      // by kind and subject: it was there at the last look
	awaySince map[string]time.Time // by engine that does not answer: since when
	busySince map[string]time.Time // by queue of an engine that does not tell ages: not seen empty since then
	cost      time.Duration        // of the last look, to the database
}

func watchInterval(cfg Config) time.Duration {
	shortest := min(cfg.QueueAgeLimit, cfg.RelayAgeLimit, cfg.EngineAwayLimit, cfg.WebhookAgeLimit)
	return min(max(shortest/looksPerLimit, watchIntervalMin), watchIntervalMax)
}

// RunWatch looks at the queues until ctx ends.
func (o *Office) RunWatch(ctx context.Context) error {
	for {
		if err := o.Look(ctx); err != nil && ctx.Err() == nil {
			o.log.ErrorContext(ctx, "the queues could not be looked at; trying again", keyError, err)
		}
		if !queue.Sleep(ctx, max(o.cfg.WatchInterval, min(watchShare*o.watch.cost, watchPauseMax))) {
			return nil
		}
	}
}

// Look looks once at the queues: at those in the database, and at those of the
// brokers that messages are on, or were on before and were not forgotten. What is
// wrong at two looks in a row is an incident, which is over when it was not seen
// for the time between two mails. Only one goroutine may look.
func (o *Office) Look(ctx context.Context) error {
	began := time.Now()
	stats, err := o.queues.Stats(ctx)
	o.watch.cost = time.Since(began)
	if err != nil {
		return err
	}
	engines, err := o.store.Engines(ctx)
	if err != nil {
		return err
	}
	look := restock.Look{Complete: true}
	for _, s := range stats {
		if !strings.HasPrefix(s.Queue, restock.WebhookQueuePrefix) { // there one message may wait long, while others are taken
			look.Conditions = append(look.Conditions, o.embedded(s))
		}
	}
	if look.Conditions, err = o.failingWebhooks(ctx, look.Conditions); err != nil {
		return err
	}
	away, busy := map[string]time.Time{}, map[string]time.Time{}
	for _, name := range append([]string{engines.Engine}, engines.Before...) {
		if engine, ok := o.cfg.Engines[name]; ok {
			o.lookAtEngine(ctx, name, engine, &look, away, busy)
		}
	}
	o.watch.awaySince, o.watch.busySince = away, busy
	o.watch.confirm(look.Conditions)
	return o.store.Observe(ctx, look, o.cfg.AlertGap)
}

// embedded judges a queue in the database.
func (o *Office) embedded(s queue.Stats) restock.Condition {
	kind, limit := restock.IncidentQueueOld, o.cfg.QueueAgeLimit
	if s.Queue == restock.RelayQueue {
		kind, limit = restock.IncidentRelayStuck, o.cfg.RelayAgeLimit
	}
	return o.aged(restock.Condition{
		Kind: kind, Subject: s.Queue, Since: s.OldestWaitingAt,
		Detail: fmt.Sprintf("%d wait and %d are in flight; the oldest may wait for %s", s.Waiting, s.InFlight, limit),
	}, limit)
}

// failingWebhooks judges the subscriptions that take nothing. Of one that is
// paused nothing is expected.
func (o *Office) failingWebhooks(ctx context.Context, conditions []restock.Condition) ([]restock.Condition, error) {
	failing, err := o.store.FailingWebhooks(ctx)
	if err != nil {
		return conditions, err
	}
	for _, w := range failing {
		if w.Paused {
			continue
		}
		conditions = append(conditions, o.aged(restock.Condition{
			Kind: restock.IncidentQueueOld, Subject: restock.WebhookQueue(w.ID), Since: w.FailingSince,
			Detail: oneLine(fmt.Sprintf("%s took nothing since then; the last error: %s", webhook.Host(w.URL), w.LastError)),
		}, o.cfg.WebhookAgeLimit))
	}
	return conditions, nil
}

// aged is present when its time is longer ago than the limit.
func (o *Office) aged(c restock.Condition, limit time.Duration) restock.Condition {
	if !c.Since.IsZero() && o.cfg.Now().Sub(c.Since) > limit {
		c.State = restock.Present
	}
	return c
}

// lookAtEngine judges a broker and its queues. While it is away nothing is known
// of its queues; what is remembered of them goes on.
func (o *Office) lookAtEngine(ctx context.Context, name string, engine Depths, look *restock.Look, away, busy map[string]time.Time) {
	asked := o.cfg.Now()
	depths, err := depthsWithin(ctx, engine, engineTimeout)
	c := restock.Condition{Kind: restock.IncidentEngineAway, Subject: name}
	if err == nil {
		look.Conditions = append(look.Conditions, c)
		for _, d := range depths {
			look.Conditions = append(look.Conditions, o.distant(name, d, asked, busy))
		}
		return
	}
	c.Since = since(o.watch.awaySince, name, asked)
	away[name] = c.Since
	c.State, c.Detail = restock.Suspected, oneLine(err.Error())
	look.Conditions = append(look.Conditions, o.aged(c, o.cfg.EngineAwayLimit))
	look.Complete = false
	for key, at := range o.watch.busySince {
		if strings.HasPrefix(key, name+" ") {
			busy[key] = at
		}
	}
}

// oneLine is the beginning of a foreign text, as a mail shows it.
func oneLine(text string) string { return plainLine(text, detailRunesMax) }

// plainLine makes one line of any words: nothing in it ends the line, or turns
// the words after it around.
func plainLine(text string, runesMax int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > runesMax {
		text = string(runes[:runesMax]) + "…"
	}
	return text
}

// since is the time that was remembered, or now. A time in the future says that
// the clock was set back.
func since(remembered map[string]time.Time, key string, now time.Time) time.Time {
	if at, ok := remembered[key]; ok && !at.After(now) {
		return at
	}
	return now
}

func depthsWithin(ctx context.Context, engine Depths, timeout time.Duration) ([]queue.Depth, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	depths, err := engine.Depths(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	return depths, err
}

// distant judges a queue of a broker. Some do not tell how old their oldest
// message is; it can then not be older than the time since the queue was last
// seen empty, and the words say so.
func (o *Office) distant(engine string, d queue.Depth, now time.Time, busy map[string]time.Time) restock.Condition {
	limit := o.cfg.QueueAgeLimit
	key := engine + " " + d.Queue
	c := restock.Condition{
		Kind: restock.IncidentQueueOld, Subject: d.Queue + " at " + engine, Since: d.OldestAt,
		Detail: fmt.Sprintf("%d wait and %d are in flight; the oldest may wait for %s", d.Waiting, d.InFlight, limit),
	}
	if d.OldestAt.IsZero() && d.Waiting > 0 {
		c.Since = since(o.watch.busySince, key, now)
		busy[key] = c.Since
		c.Detail = fmt.Sprintf("%d wait and %d are in flight; the engine does not tell for how long: the queue was never seen empty since then, "+
			"and %s are allowed", d.Waiting, d.InFlight, limit)
	}
	return o.aged(c, limit)
}

// confirm lets a condition open an incident only when it was there at the look
// before, too: after a start, or a redrive, old messages are soon handled.
func (w *watch) confirm(conditions []restock.Condition) {
	before := w.suspected
	w.suspected = make(map[string]bool, len(conditions))
	for i, c := range conditions {
		if c.State != restock.Present {
			continue
		}
		key := string(c.Kind) + " " + c.Subject
		w.suspected[key] = true
		if !before[key] {
			conditions[i].State = restock.Suspected
		}
	}
}

// engineReports say how the brokers stand, for the status: nobody waits long for
// one that is away.
func (o *Office) engineReports(ctx context.Context) []EngineReport {
	reports := make([]EngineReport, 0, len(o.cfg.Engines))
	for _, name := range slices.Sorted(maps.Keys(o.cfg.Engines)) {
		report := EngineReport{Name: name, Depths: []queue.Depth{}}
		depths, err := depthsWithin(ctx, o.cfg.Engines[name], statusTimeout)
		if err != nil {
			report.Error = err.Error()
		}
		report.Depths = append(report.Depths, depths...)
		reports = append(reports, report)
	}
	return reports
}
