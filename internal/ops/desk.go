package ops

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// The limits of the desk.
const (
	// DeskSliceMax bounds the letters of one call, so that a walk through all can
	// be stopped, and begun again, anywhere.
	DeskSliceMax = 50
	// redriveWaitMax is how long a call waits for its turn among other callers.
	redriveWaitMax = 5 * time.Second
	errorWordsMax  = 200 // bytes of a part of an error that is looked for
)

// Desk is the dead-letter desk: the letters with what the shop knows of them,
// and what people do to them.
type Desk interface {
	DeadLetters(ctx context.Context, q restock.DeadQuery, decide restock.Deciders) ([]restock.DeadLetter, string, error)
	DeadLetter(ctx context.Context, queue string, id restock.EventID, decide restock.Deciders) (restock.DeadLetter, error)
	// LatestDeath is when the last of all letters died.
	LatestDeath(ctx context.Context) (time.Time, error)
	// RedriveDeadLetter and DiscardDeadLetter settle a letter and note who did it,
	// both or neither.
	RedriveDeadLetter(ctx context.Context, queue string, id restock.EventID, r restock.Redrive,
		decide restock.Deciders) (restock.DeadLetter, error)
	DiscardDeadLetter(ctx context.Context, queue string, id restock.EventID, d restock.Discard,
		decide restock.Deciders) (restock.DeadLetter, error)
}

// RedriveBody is what POST /v1/dead-letters/{id}/redrive takes. It may be left
// out: no reason has to be given for what the letter was made for.
type RedriveBody struct {
	ActBody

	Stale bool `json:"stale,omitempty"` // also if it is not needed any more
}

func (b RedriveBody) act() (restock.Act, error) { return b.actWithoutReason() }

// actWithoutReason is act where a reason may be left out.
func (b ActBody) actWithoutReason() (restock.Act, error) {
	if b.Reason != "" {
		return b.act()
	}
	b.Reason = "-"
	act, err := b.act()
	act.Reason = ""
	return act, err
}

// SelectionBody says which dead letters are meant: those that are named, or
// those that a filter selects, or all. A selection is worked off in slices; send
// Next of the answer as After for the next one.
type SelectionBody struct {
	ActBody

	IDs    []restock.EventID `json:"ids,omitempty"`
	Queue  string            `json:"queue,omitempty"`
	Type   string            `json:"type,omitempty"`
	SKU    string            `json:"sku,omitempty"`
	Needed restock.Need      `json:"needed,omitempty"`
	Error  string            `json:"error,omitempty"`
	All    bool              `json:"all,omitempty"` // without any filter
	DryRun bool              `json:"dry_run,omitempty"`
	After  string            `json:"after,omitempty"`
	Limit  int               `json:"limit,omitempty"` // of one slice; DeskSliceMax when left out
}

func (b SelectionBody) query() restock.DeadQuery {
	return restock.DeadQuery{Queue: b.Queue, Type: b.Type, Product: b.SKU, Needed: b.Needed, Error: b.Error, Limit: b.Limit}
}

// check says what is wrong with a selection. One that selects nothing must not
// mean everything.
func (b SelectionBody) check() error {
	filtered := b.Type+b.SKU+string(b.Needed)+b.Error != ""
	switch {
	case len(b.IDs) > DeskSliceMax:
		return invalid("at most %d ids at a time", DeskSliceMax)
	case slices.ContainsFunc(b.IDs, restock.EventID.IsZero):
		return invalid("an id is empty")
	case len(b.IDs) > 0 && (filtered || b.All || b.After != ""):
		return invalid("name messages by ids, or select them; beside ids only queue can be given")
	case len(b.IDs) == 0 && !filtered && !b.All && b.Queue == "":
		return invalid(`name messages by ids, or give queue, type, sku, needed or error, or say "all": true`)
	case b.Limit < 0 || b.Limit > DeskSliceMax:
		return invalid("limit must be 1 to %d, or left out", DeskSliceMax)
	}
	return nil
}

// RedriveSelectionBody is what POST /v1/dead-letters/redrive takes.
type RedriveSelectionBody struct {
	SelectionBody

	Stale bool `json:"stale,omitempty"` // also what is not needed any more
}

func (b RedriveSelectionBody) act() (restock.Act, error) { return b.actWithoutReason() }

// DiscardSelectionBody is what POST /v1/dead-letters/discard takes. What was not
// named is discarded only if it is stale, unless that is asked for.
type DiscardSelectionBody struct {
	SelectionBody

	IncludeNeeded bool `json:"include_needed,omitempty"`
}

// DeskSlice is what came of a slice of a selection.
type DeskSlice struct {
	Redriven  int             `json:"redriven"`
	Discarded int             `json:"discarded"`
	Skipped   []SkippedLetter `json:"skipped"`
	DryRun    bool            `json:"dry_run,omitempty"` // nothing was done, this would have been
	Next      string          `json:"next,omitempty"`    // to send as after; "" at the end
}

// SkippedLetter is a letter that was left as it is.
type SkippedLetter struct {
	MessageID restock.EventID `json:"message_id"`
	Queue     string          `json:"queue,omitempty"`
	Type      string          `json:"type,omitempty"`
	SKU       restock.SKU     `json:"sku,omitempty"`
	Reason    string          `json:"reason"`
}

func (a *api) deskRoutes(mux *web.Mux) {
	mux.HandleFunc("GET /v1/dead-letters?limit&after&queue&type&product&needed&error", a.deadLetters)
	mux.HandleFunc("GET /v1/dead-letters/{id}?queue", a.deadLetter)
	mux.HandleFunc("POST /v1/dead-letters/redrive", a.redriveSelection)
	mux.HandleFunc("POST /v1/dead-letters/discard", a.discardSelection)
	mux.HandleFunc("POST /v1/dead-letters/{id}/redrive?queue", a.redrive)
	mux.HandleFunc("POST /v1/dead-letters/{id}/discard?queue", a.discard)
}

func (a *api) deadLetters(w http.ResponseWriter, r *http.Request) {
	page, err := web.ParsePage(r)
	values := r.URL.Query()
	query := restock.DeadQuery{
		Queue: values.Get("queue"), Type: values.Get("type"), Product: values.Get("product"), Needed: restock.Need(values.Get("needed")),
		Error: values.Get("error"), After: page.After, Limit: page.Limit,
	}
	if err == nil {
		err = a.checkDeadQuery(r.Context(), query)
	}
	var letters []restock.DeadLetter
	var next string
	if err == nil {
		letters, next, err = a.store.DeadLetters(r.Context(), query, a.cfg.Decide)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, web.List[restock.DeadLetter]{Items: letters, Next: next})
}

// checkDeadQuery finds filters that mean nothing.
func (a *api) checkDeadQuery(ctx context.Context, q restock.DeadQuery) error {
	switch {
	case q.Needed != "" && !slices.Contains(restock.Needs(), q.Needed):
		return invalid("needed cannot be %q; take one of %s", q.Needed, joined(restock.Needs()))
	case len(q.Error) > errorWordsMax:
		return invalid("error has more than %d bytes", errorWordsMax)
	}
	return a.checkQueue(ctx, q.Queue)
}

// checkQueue refuses the name of no queue. An engine may have queues of its own
// beside those of the shop.
func (a *api) checkQueue(ctx context.Context, name string) error {
	names := restock.Queues()
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	stats, err := a.queues.Stats(ctx)
	if err != nil {
		return err
	}
	for _, s := range stats {
		if s.Queue == name {
			return nil
		}
	}
	return invalid("there is no queue %q; take one of %s", name, strings.Join(names, ", "))
}

func joined(needs []restock.Need) string {
	words := make([]string, len(needs))
	for i, n := range needs {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

func (a *api) deadLetter(w http.ResponseWriter, r *http.Request) {
	id, err := messageID(r)
	var letter restock.DeadLetter
	if err == nil {
		letter, err = a.store.DeadLetter(r.Context(), r.URL.Query().Get("queue"), id, a.cfg.Decide)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, letter)
}

func messageID(r *http.Request) (restock.EventID, error) {
	id, err := restock.ParseID[restock.Event](r.PathValue("id"))
	if err == nil && id.IsZero() {
		err = invalid("the message's id is missing")
	}
	return id, err
}

// The results of settling a letter.
const (
	resultRedriven  = "redriven"
	resultDiscarded = "discarded"
)

func (a *api) redrive(w http.ResponseWriter, r *http.Request) {
	body, act, err := readDesk[RedriveBody](w, r)
	a.settle(w, r, err, act, resultRedriven, func(queue string, id restock.EventID) (restock.DeadLetter, error) {
		if err := a.awaitRedrives(r.Context(), 1); err != nil {
			return restock.DeadLetter{}, err
		}
		return a.store.RedriveDeadLetter(r.Context(), queue, id, restock.Redrive{Act: act, Stale: body.Stale}, a.cfg.Decide)
	})
}

func (a *api) discard(w http.ResponseWriter, r *http.Request) {
	_, act, err := readDesk[ActBody](w, r)
	a.settle(w, r, err, act, resultDiscarded, func(queue string, id restock.EventID) (restock.DeadLetter, error) {
		return a.store.DiscardDeadLetter(r.Context(), queue, id, restock.Discard{Act: act}, a.cfg.Decide)
	})
}

// settle answers an action on the one letter that the path names.
func (a *api) settle(w http.ResponseWriter, r *http.Request, err error, act restock.Act, result string,
	do func(queue string, id restock.EventID) (restock.DeadLetter, error),
) {
	id, pathErr := messageID(r)
	if pathErr != nil {
		err = pathErr
	}
	var letter restock.DeadLetter
	if err == nil {
		letter, err = do(r.URL.Query().Get("queue"), id)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "dead letter "+result, "message_id", id, "queue", letter.Queue, "by", act.By, "reason", act.Reason)
	web.WriteJSON(w, http.StatusOK, map[string]string{"message_id": id.String(), "queue": letter.Queue, "result": result})
}

// readDesk reads the body of an action at the desk; none is an empty one.
func readDesk[B acting](w http.ResponseWriter, r *http.Request) (B, restock.Act, error) {
	var body B
	text, err := web.ReadBody(w, r, actionBytesMax)
	if err != nil {
		return body, restock.Act{}, err
	}
	if len(bytes.TrimSpace(text)) > 0 {
		if err := web.DecodeJSON(text, &body); err != nil {
			return body, restock.Act{}, err
		}
	}
	act, err := body.act()
	return body, act, err
}

// awaitRedrives waits until n letters may be redriven. What is redriven is
// worked off by the same handlers as what is new.
func (a *api) awaitRedrives(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, redriveWaitMax)
	defer cancel()
	if err := a.redrives.WaitN(waiting, n); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &restock.Error{
			Kind: restock.Unavailable, Code: restock.CodeRateLimited, Err: err,
			Message: "others redrive at this moment, too many at once; wait a moment",
		}
	}
	return nil
}

func (a *api) redriveSelection(w http.ResponseWriter, r *http.Request) {
	body, act, err := readDesk[RedriveSelectionBody](w, r)
	a.settleSelection(w, r, err, act, body.SelectionBody, resultRedriven, settling{
		skip: func(l restock.DeadLetter) bool { return l.Verdict.Needed == restock.NeedStale && !body.Stale },
		wait: a.awaitRedrives,
		do: func(ctx context.Context, queue string, id restock.EventID) error {
			_, err := a.store.RedriveDeadLetter(ctx, queue, id, restock.Redrive{Act: act, Stale: body.Stale}, a.cfg.Decide)
			return err
		},
	})
}

func (a *api) discardSelection(w http.ResponseWriter, r *http.Request) {
	body, act, err := readDesk[DiscardSelectionBody](w, r)
	onlyStale := !body.IncludeNeeded && len(body.IDs) == 0
	a.settleSelection(w, r, err, act, body.SelectionBody, resultDiscarded, settling{
		skip: func(l restock.DeadLetter) bool { return onlyStale && l.Verdict.Needed != restock.NeedStale },
		wait: func(context.Context, int) error { return nil },
		do: func(ctx context.Context, queue string, id restock.EventID) error {
			_, err := a.store.DiscardDeadLetter(ctx, queue, id, restock.Discard{Act: act, OnlyStale: onlyStale}, a.cfg.Decide)
			return err
		},
	})
}

// settling is how the letters of a selection are settled.
type settling struct {
	skip func(restock.DeadLetter) bool
	wait func(ctx context.Context, n int) error
	do   func(ctx context.Context, queue string, id restock.EventID) error
}

func (a *api) settleSelection(w http.ResponseWriter, r *http.Request, err error, act restock.Act, b SelectionBody, result string, s settling) {
	if err == nil {
		err = b.check()
	}
	if err == nil {
		err = a.checkDeadQuery(r.Context(), b.query())
	}
	slice := DeskSlice{Skipped: []SkippedLetter{}, DryRun: b.DryRun}
	var letters []restock.DeadLetter
	if err == nil {
		letters, err = a.selected(r.Context(), b, &slice)
	}
	var done int
	if err == nil {
		done, err = a.settleAll(r.Context(), letters, b.DryRun, s, &slice)
	}
	if done > 0 && !b.DryRun { // also when the next one failed
		a.log.InfoContext(r.Context(), "dead letters "+result, "count", done, "by", act.By, "reason", act.Reason)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if result == resultRedriven {
		slice.Redriven = done
	} else {
		slice.Discarded = done
	}
	web.WriteJSON(w, http.StatusOK, slice)
}

// selected gives the letters of a slice, and says in it where the next one
// begins. Of those that are named, it says which are none.
func (a *api) selected(ctx context.Context, b SelectionBody, slice *DeskSlice) ([]restock.DeadLetter, error) {
	if len(b.IDs) > 0 {
		return a.named(ctx, b, slice)
	}
	query := b.query()
	if query.Limit == 0 {
		query.Limit = DeskSliceMax
	}
	var err error
	if query.Until, query.After, err = a.walked(ctx, b.After); err != nil {
		return nil, err
	}
	if query.Until.IsZero() { // there is none
		return nil, nil
	}
	letters, next, err := a.store.DeadLetters(ctx, query, a.cfg.Decide)
	if next != "" {
		slice.Next = strconv.FormatInt(query.Until.UnixMicro(), 10) + walkSeparator + next
	}
	return letters, err
}

// walkSeparator stands between the end of a walk and how far it came.
const walkSeparator = "."

// walked reads how far a walk through the letters came. A new one ends at what
// is dead now: what dies again meanwhile would never let it end.
func (a *api) walked(ctx context.Context, after string) (time.Time, string, error) {
	if after == "" {
		until, err := a.store.LatestDeath(ctx)
		return until, "", err
	}
	end, after, ok := strings.Cut(after, walkSeparator)
	micros, err := strconv.ParseInt(end, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", invalid("after is not what a slice before gave as next; begin again without it")
	}
	return time.UnixMicro(micros), after, nil
}

func (a *api) named(ctx context.Context, b SelectionBody, slice *DeskSlice) ([]restock.DeadLetter, error) {
	var letters []restock.DeadLetter
	for _, id := range b.IDs {
		letter, err := a.store.DeadLetter(ctx, b.Queue, id, a.cfg.Decide)
		switch {
		case err == nil:
			letters = append(letters, letter)
		case aboutOne(err):
			slice.Skipped = append(slice.Skipped, SkippedLetter{MessageID: id, Queue: b.Queue, Reason: web.FaultOf(err).Detail})
		default:
			return nil, err
		}
	}
	return letters, nil
}

// aboutOne reports whether an error is about one letter alone.
func aboutOne(err error) bool {
	return slices.Contains([]restock.Kind{restock.NotFound, restock.Conflict, restock.Invalid}, restock.KindOf(err))
}

// settleAll settles the letters that are not to be skipped, each in a
// transaction of its own: whenever it is stopped, each letter is settled with
// its note, or untouched.
func (a *api) settleAll(ctx context.Context, letters []restock.DeadLetter, dryRun bool, s settling, slice *DeskSlice) (int, error) {
	var chosen []restock.DeadLetter
	for _, l := range letters {
		if s.skip(l) {
			slice.Skipped = append(slice.Skipped, skipped(l, string(l.Verdict.Needed)+": "+l.Verdict.Reason))
			continue
		}
		chosen = append(chosen, l)
	}
	if dryRun {
		return len(chosen), nil
	}
	if err := s.wait(ctx, len(chosen)); err != nil {
		return 0, err
	}
	done := 0
	for _, l := range chosen {
		switch err := s.do(ctx, l.Queue, l.MessageID); {
		case err == nil:
			done++
		case aboutOne(err):
			slice.Skipped = append(slice.Skipped, skipped(l, web.FaultOf(err).Detail))
		default:
			return done, err
		}
	}
	return done, nil
}

func skipped(l restock.DeadLetter, reason string) SkippedLetter {
	return SkippedLetter{MessageID: l.MessageID, Queue: l.Queue, Type: l.Type, SKU: l.SKU, Reason: reason}
}
