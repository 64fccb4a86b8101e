package messages_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// The answers that a road carries.
const (
	done   = "done"
	retry  = "retry"
	later  = "later"
	dead   = "dead"
	extend = "extend"
)

// errRoad is what a process hears when the road failed.
var errRoad = errors.New("the connection to the broker was reset")

// road is the way between a broker and one process, and it means ill: messages
// come twice, in another order, much later or not at all; what says that a
// handler is still at work does not arrive; answers are lost, or come late, or
// their replies do. It makes nothing up: whatever the process is told is true,
// or an error that says nothing.
type road struct {
	driver.Driver

	w       *world
	process string

	mu        sync.Mutex
	waiting   map[string][]handover // by queue
	news      map[string]bool       // something is waiting that nobody looked at
	interrupt map[string]func()     // ends the wait for the broker
	fates     map[string]*fate      // by handle
	copies    int

	under sync.WaitGroup // answers that are under way
}

// handover is a delivery that the process gets at a time.
type handover struct {
	driver.Delivery

	at time.Time
}

// fate is what happens to the words about one delivery.
type fate struct {
	unheld     bool          // it is not extended
	heldFrom   time.Time     // but from then on, when another has it; zero is never
	lateAnswer time.Duration // by how much the answer comes late
	loseAnswer bool          // the first one
	loseReply  bool          // of the first one
}

func (w *world) newRoad(d driver.Driver, process string) *road {
	r := &road{
		Driver: d, w: w, process: process, waiting: map[string][]handover{}, news: map[string]bool{},
		interrupt: map[string]func(){}, fates: map[string]*fate{},
	}
	w.roads = append(w.roads, r)
	return r
}

// Receive hands over what has its time, and meanwhile takes from the broker. It
// waits longer than it is asked to: a process that finds nothing asks again.
func (r *road) Receive(ctx context.Context, queue string, request driver.Request) ([]driver.Delivery, error) {
	end := time.Now().Add(r.w.pace.patience)
	for {
		due, next := r.due(queue, request.Max)
		if len(due) > 0 || !time.Now().Before(end) {
			return due, nil
		}
		if err := r.take(ctx, queue, request, min(next, time.Until(end))); err != nil {
			return nil, err
		}
	}
}

// take takes what the broker has, and waits for it until something else has to
// be handed over.
func (r *road) take(ctx context.Context, queue string, request driver.Request, wait time.Duration) error {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	if !r.listen(queue, stop) {
		return nil
	}
	began := time.Now()
	request.Wait = wait
	got, err := r.Driver.Receive(listening, queue, request)
	if err != nil && (listening.Err() == nil || ctx.Err() != nil) {
		return err
	}
	if time.Since(began)-wait > request.Visibility/2 {
		return nil // this machine slept; the messages come again
	}
	for _, d := range got {
		r.meet(ctx, d, request.Visibility)
	}
	return nil
}

// listen says what is to be called when something else comes; false when it is
// there already.
func (r *road) listen(queue string, interrupt func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news[queue] {
		r.news[queue] = false
		return false
	}
	r.interrupt[queue] = interrupt
	return true
}

// due gives what is to be handed over now, and how long it is until the next.
func (r *road) due(queue string, most int) ([]driver.Delivery, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.news[queue] = false
	now, next := time.Now(), r.w.pace.patience
	var due []driver.Delivery
	r.waiting[queue] = slices.DeleteFunc(r.waiting[queue], func(h handover) bool {
		if wait := h.at.Sub(now); wait > 0 || len(due) == most {
			next = min(next, max(wait, 0))
			return false
		}
		due = append(due, h.Delivery)
		return true
	})
	return due, next
}

func (r *road) put(d driver.Delivery, after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[d.Queue] = append(r.waiting[d.Queue], handover{d, time.Now().Add(after)})
	r.news[d.Queue] = true
	if interrupt := r.interrupt[d.Queue]; interrupt != nil {
		interrupt()
	}
}

// pending counts what is still to be handed over.
func (r *road) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, waiting := range r.waiting {
		n += len(waiting)
	}
	return n
}

// meet decides what becomes of a message that the broker gave.
func (r *road) meet(ctx context.Context, d driver.Delivery, visibility time.Duration) {
	name, met := r.w.book.took(d, r.w.engine.copied(d), r.process)
	dice, pace := r.w.dice.about(d.Queue, name, met), r.w.pace
	if r.w.quiet.Load() {
		r.put(d, 0)
		return
	}
	const often = 3 // who comes this often is let through, or all would be dead letters
	switch {
	case met == 1 && chance(dice, 10):
		delay := oneOf(dice, pace.late)
		if r.tell(ctx, d, later, func(ctx context.Context) error { return r.Driver.Later(ctx, d, delay) }) == nil {
			r.w.tally.count(postponed)
			return
		}
	case d.Receives < often && visibility <= pace.loss && chance(dice, 5):
		r.w.tally.count(neverCame)
		r.w.book.note(d.Subject, "%s does not reach %s", name, r.process)
		return
	}
	r.mu.Lock()
	r.fates[spentKey(d)] = r.newFate(dice, d.Receives < often, visibility)
	r.mu.Unlock()
	if chance(dice, 30) {
		r.w.tally.count(cameTwice)
		r.put(r.copyOf(d), pace.second(dice))
	}
	r.put(d, upTo(dice, pace.shuffle))
	if met == 1 && r.isOvertaken(d) {
		r.w.tally.count(overtaken)
	}
}

// isOvertaken reports whether a message that was taken later is handed over
// earlier, or the other way round.
func (r *road) isOvertaken(d driver.Delivery) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.waiting[d.Queue]
	mine := waiting[len(waiting)-1].at
	return slices.ContainsFunc(waiting, func(h handover) bool { return h.ID != d.ID && h.at.After(mine) })
}

func (r *road) newFate(dice *rand.Rand, mayLose bool, visibility time.Duration) *fate {
	mayLose = mayLose && visibility <= r.w.pace.loss
	f := &fate{unheld: mayLose && chance(dice, 25), loseAnswer: mayLose && chance(dice, 10), loseReply: chance(dice, 10)}
	if f.unheld && chance(dice, 50) {
		f.heldFrom = time.Now().Add(visibility)
	}
	if mayLose && chance(dice, 10) {
		f.lateAnswer = upTo(dice, visibility*3/2)
	}
	return f
}

// once takes one piece of mischief out of a fate.
func (r *road) once(d driver.Delivery, what func(*fate) *bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.fates[spentKey(d)]
	if !ok || !*what(f) {
		return false
	}
	*what(f) = false
	return true
}

func (r *road) lateBy(d driver.Delivery) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.fates[spentKey(d)]
	if !ok {
		return 0
	}
	by := f.lateAnswer
	f.lateAnswer = 0
	return by
}

// copyPrefix begins the handles of second deliveries. SQS gives each delivery a
// handle of its own, and what is said about one does not touch the other.
const copyPrefix = "copy "

func (r *road) copyOf(d driver.Delivery) driver.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.copies++
	d.Handle = fmt.Sprintf("%s%d", copyPrefix, r.copies)
	return d
}

// Done tells the broker that a message is handled.
func (r *road) Done(ctx context.Context, d driver.Delivery) error {
	return r.carry(ctx, d, done, 0, func(ctx context.Context) error { return r.Driver.Done(ctx, d) })
}

// Retry tells the broker that a message failed.
func (r *road) Retry(ctx context.Context, d driver.Delivery, delay time.Duration, cause string) error {
	return r.carry(ctx, d, retry, delay, func(ctx context.Context) error { return r.Driver.Retry(ctx, d, delay, cause) })
}

// Later tells the broker that a message is to come again.
func (r *road) Later(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	return r.carry(ctx, d, later, delay, func(ctx context.Context) error { return r.Driver.Later(ctx, d, delay) })
}

// Dead tells the broker that a message is given up.
func (r *road) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	return r.carry(ctx, d, dead, 0, func(ctx context.Context) error { return r.Driver.Dead(ctx, d, cause) })
}

// Extend tells the broker that a handler is still at work.
func (r *road) Extend(ctx context.Context, d driver.Delivery, visibility time.Duration) error {
	r.mu.Lock()
	f, known := r.fates[spentKey(d)]
	unheld := known && f.unheld && (f.heldFrom.IsZero() || time.Now().Before(f.heldFrom))
	r.mu.Unlock()
	switch {
	case strings.HasPrefix(d.Handle, copyPrefix):
		return nil
	case unheld:
		r.w.tally.count(notExtended)
		r.w.book.note(d.Subject, "%s is not extended for %s", r.w.book.name(d.Message), r.process)
		return errRoad
	}
	return r.tell(ctx, d, extend, func(ctx context.Context) error { return r.Driver.Extend(ctx, d, visibility) })
}

// carry brings an answer to the broker, if nothing comes between.
func (r *road) carry(ctx context.Context, d driver.Delivery, what string, delay time.Duration, say func(context.Context) error) error {
	if strings.HasPrefix(d.Handle, copyPrefix) {
		r.copyAnswered(d, what, delay)
		return nil
	}
	if r.once(d, func(f *fate) *bool { return &f.loseAnswer }) {
		r.w.tally.count(answerLost)
		return errRoad
	}
	if late := r.lateBy(d); late > 0 {
		r.w.tally.count(answerLate)
		return r.carryLate(ctx, d, what, late, say)
	}
	err := r.tell(ctx, d, what, say)
	if err == nil && r.once(d, func(f *fate) *bool { return &f.loseReply }) {
		r.w.tally.count(replyLost)
		return errRoad
	}
	return err
}

// carryLate brings an answer when the process may have given up waiting for the
// reply.
func (r *road) carryLate(ctx context.Context, d driver.Delivery, what string, late time.Duration, say func(context.Context) error) error {
	reply := make(chan error, 1)
	r.under.Go(func() {
		time.Sleep(late)
		reply <- r.tell(context.WithoutCancel(ctx), d, what, say)
	})
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell says something to the broker, and notes what it answers.
func (r *road) tell(ctx context.Context, d driver.Delivery, what string, say func(context.Context) error) error {
	stale := r.w.book.stale(d, r.w.engine.copied(d))
	err := say(ctx)
	r.w.book.answered(d, r.process, what, stale, err)
	return err
}

// copyAnswered does to a second delivery what was said about it.
func (r *road) copyAnswered(d driver.Delivery, what string, delay time.Duration) {
	r.w.book.note(d.Subject, "%s says %s about a second %s", r.process, what, r.w.book.name(d.Message))
	switch what {
	case retry:
		d.Receives++
		r.put(d, delay)
	case later:
		r.put(d, delay)
	}
}
