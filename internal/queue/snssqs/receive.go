package snssqs

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	receiveLenMax = 10               // messages in one call
	waitMax       = 20 * time.Second // of one call
	// waitMin is how long one call waits at least: without waiting, SQS looks at
	// some of its servers only, and may miss what is there.
	waitMin = time.Second

	visibilityMax = 12 * time.Hour

	// waitsPerVisibility keeps a wait short beside the visibility. A lease counts
	// from before the call, and most of it must be left when the messages come.
	waitsPerVisibility = 3
)

// causeUndelivered is the cause of a dead letter that neither we nor SQS put
// where it is.
const causeUndelivered = "SNS could not deliver it to the queue: it was never received; " +
	"look at the policy of the queue, then redrive"

// Receive takes up to 10 messages of what is asked for.
func (e *Engine) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	visibility := min(wholeSeconds(max(r.Visibility, time.Second)), visibilityMax)
	for left := max(r.Wait, waitMin); ; {
		wait := max(min(left, waitMax, visibility/waitsPerVisibility).Truncate(time.Second), waitMin)
		got, err := e.receive(ctx, queue, min(max(r.Max, 1), receiveLenMax), visibility, wait)
		if left -= wait; len(got) > 0 || err != nil || left <= 0 {
			return got, err
		}
	}
}

// receive makes one call.
func (e *Engine) receive(
	ctx context.Context, queue string, limit int, visibility, wait time.Duration,
) ([]driver.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+e.cfg.CallTimeout)
	defer cancel()
	url, err := e.queueURL(ctx, queue)
	if err != nil {
		return nil, err
	}
	asked := e.now()
	out, err := e.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    url,
		MaxNumberOfMessages:         int32(limit), //nolint:gosec // at most receiveLenMax.
		VisibilityTimeout:           seconds(visibility),
		WaitTimeSeconds:             seconds(wait),
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, e.onQueue(queue, err)
	}
	until := asked.Add(visibility)
	if len(out.Messages) > 0 && !until.After(e.now()) {
		e.cfg.Logger.WarnContext(ctx, "messages were received too late: this process stood still, and they are visible again",
			"queue", e.name(queue), "messages", len(out.Messages))
		return nil, nil
	}
	return e.accept(ctx, queue, out.Messages, until)
}

// accept makes deliveries of messages, and sends on what came too early.
func (e *Engine) accept(
	ctx context.Context, queue string, messages []sqstypes.Message, until time.Time,
) ([]driver.Delivery, error) {
	var got []driver.Delivery
	var failed error
	for _, m := range messages {
		c := read(letterOf(m))
		d := e.delivery(queue, m, &c)
		e.leases.Take(d.Handle, until)
		if early := c.notBefore.Sub(e.now()); early > 0 {
			// Nobody sees the message, so that this receive does not count.
			failed = errors.Join(failed, e.again(ctx, d, early, c.receives))
			continue
		}
		got = append(got, d)
	}
	return got, failed
}

// delivery makes a delivery of a message. What its content says of another
// queue is taken away.
func (e *Engine) delivery(queue string, m sqstypes.Message, c *content) driver.Delivery {
	count, _ := strconv.Atoi(m.Attributes[string(sqstypes.MessageSystemAttributeNameApproximateReceiveCount)])
	d := driver.Delivery{Message: c.Message, Queue: queue, Handle: aws.ToString(m.ReceiptHandle)}
	if !isDeadLetterQueue(queue) {
		if c.cause != "" { // somebody moved it back from the dead-letter queue: it begins anew
			c.receives = 0
		}
		d.Receives = c.receives + max(count, 1)
		return d
	}
	c.notBefore = time.Time{} // a dead letter is there to be seen
	d.Copy = aws.ToString(m.MessageId)
	_, moved := m.Attributes[string(sqstypes.MessageSystemAttributeNameDeadLetterQueueSourceArn)]
	switch {
	case c.cause != "":
		d.Cause, d.Receives = c.cause, c.receives
	case moved || count > e.cfg.ReceivesMax:
		// SQS counts on over the move, so that the count itself tells of it where
		// the source is not told.
		d.Receives = c.receives + e.cfg.ReceivesMax
	default:
		d.Cause = causeUndelivered
	}
	return d
}

func isDeadLetterQueue(queue string) bool { return strings.HasSuffix(queue, driver.DeadLetterSuffix) }

func letterOf(m sqstypes.Message) letter {
	l := letter{
		id:         aws.ToString(m.MessageId),
		body:       aws.ToString(m.Body),
		attributes: make(map[string]string, len(m.MessageAttributes)),
	}
	for name, value := range m.MessageAttributes {
		if value.StringValue != nil {
			l.attributes[name] = *value.StringValue
		} else {
			l.attributes[name] = base64.StdEncoding.EncodeToString(value.BinaryValue)
		}
	}
	sent := m.Attributes[string(sqstypes.MessageSystemAttributeNameSentTimestamp)]
	if ms, err := strconv.ParseInt(sent, 10, 64); err == nil {
		l.sent = time.UnixMilli(ms).UTC()
	}
	return l
}

// wholeSeconds rounds up to what SQS can keep.
func wholeSeconds(d time.Duration) time.Duration {
	if rounded := d.Truncate(time.Second); rounded < d {
		return rounded + time.Second
	}
	return d
}

// seconds is for durations of whole seconds, which SQS bounds.
func seconds(d time.Duration) int32 {
	return int32(d / time.Second) //nolint:gosec // bounded by the limits of SQS.
}
