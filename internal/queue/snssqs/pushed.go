package snssqs

import (
	"context"
	"errors"
	"strconv"
	"time"

	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/restock/restock/internal/queue/driver"
)

// Pushed answers for messages that somebody else receives for us and deletes for
// us, as the event source of a Lambda function does. Whoever handles them tells
// that side which are done. So nothing is deleted here, and nothing is sent to a
// dead-letter queue: a message that is given up comes back at once until the
// queue's redrive policy moves it there.
//
// The visibility timeout is the queue's. It must be longer than the time in which
// the messages are handled.
type Pushed struct{ *Engine }

var _ driver.Driver = Pushed{}

// Pushed gives the driver for messages that were received elsewhere.
func (e *Engine) Pushed() Pushed { return Pushed{e} }

// Read makes deliveries of messages. A message that comes before its time is left
// out: it was sent again, and is done here.
func (p Pushed) Read(ctx context.Context, queue string, messages []sqstypes.Message) ([]driver.Delivery, error) {
	got := make([]driver.Delivery, 0, len(messages))
	for _, m := range messages {
		c := read(letterOf(m))
		d := p.delivery(queue, m, &c)
		if early := c.notBefore.Sub(p.now()); early > 0 {
			if err := p.send(ctx, d, early, c.receives); err != nil {
				return nil, err // all of them come again
			}
			continue
		}
		got = append(got, d)
	}
	return got, nil
}

// Receive is not for messages that are pushed.
func (p Pushed) Receive(context.Context, string, driver.Request) ([]driver.Delivery, error) {
	return nil, errPushed
}

// Done leaves the message to who deletes it.
func (p Pushed) Done(context.Context, driver.Delivery) error { return nil }

// Retry makes the message visible again after delay.
func (p Pushed) Retry(ctx context.Context, d driver.Delivery, delay time.Duration, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.CallTimeout)
	defer cancel()
	return p.hide(ctx, d, min(max(delay, 0), hiddenMax))
}

// Later sends the message again, as it was before it was received.
func (p Pushed) Later(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	return p.send(ctx, d, delay, d.Receives-1)
}

// Dead brings the message back at once: after as many receives as the redrive
// policy says it is in the dead-letter queue.
func (p Pushed) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	return p.Retry(ctx, d, 0, cause)
}

// Extend keeps the message invisible from now on.
func (p Pushed) Extend(ctx context.Context, d driver.Delivery, visibility time.Duration) error {
	return p.Retry(ctx, d, visibility, "")
}

// send sends a copy of a message to its queue.
func (p Pushed) send(ctx context.Context, d driver.Delivery, delay time.Duration, receives int) error {
	w, err := encode(d.Message, copyBytesMax)
	if err != nil {
		return err
	}
	if receives > 0 {
		w.set(attributeReceives, strconv.Itoa(receives))
	}
	if delay > delayMax {
		w.set(attributeNotBefore, p.now().Add(delay).UTC().Format(time.RFC3339Nano))
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.CallTimeout)
	defer cancel()
	return p.put(ctx, d.Queue, w, min(wholeSeconds(max(delay, 0)), delayMax))
}

// errPushed is an error of the program.
var errPushed = errors.New("messages that are pushed cannot be received")
