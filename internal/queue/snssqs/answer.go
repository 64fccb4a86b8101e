package snssqs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	delayMax = 15 * time.Minute // of one message

	// hiddenMax is how long a message that was received is kept invisible. The
	// rest of the 12 hours that SQS allows may be used up already.
	hiddenMax = 11 * time.Hour
)

// Done deletes the message.
func (e *Engine) Done(ctx context.Context, d driver.Delivery) error {
	return e.answer(ctx, d, e.remove)
}

// Retry makes the message visible again after delay. SQS keeps no cause of it.
func (e *Engine) Retry(ctx context.Context, d driver.Delivery, delay time.Duration, _ string) error {
	if delay > hiddenMax && !isDeadLetterQueue(d.Queue) {
		return e.again(ctx, d, delay, d.Receives)
	}
	return e.release(ctx, d, delay)
}

// Later sends the message again, as it was before it was received, and deletes
// this one. Receives from a dead-letter queue do not count anyway.
func (e *Engine) Later(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	if isDeadLetterQueue(d.Queue) {
		return e.release(ctx, d, delay)
	}
	return e.again(ctx, d, delay, d.Receives-1)
}

// release makes the message visible again after delay.
func (e *Engine) release(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	return e.answer(ctx, d, func(ctx context.Context, d driver.Delivery) error {
		return e.hide(ctx, d, min(max(delay, 0), hiddenMax))
	})
}

// Dead sends the message to the dead-letter queue, and deletes it here.
func (e *Engine) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	return e.answer(ctx, d, func(ctx context.Context, d driver.Delivery) error {
		w, err := encode(d.Message, copyBytesMax)
		if err != nil {
			return err
		}
		if cause == "" {
			cause = causeUnknown
		}
		w.set(attributeCause, asText(cause, causeBytesMax))
		w.set(attributeReceives, strconv.Itoa(d.Receives))
		if err := e.put(ctx, d.Queue+driver.DeadLetterSuffix, w, 0); err != nil {
			return err
		}
		return e.remove(ctx, d)
	})
}

// Extend keeps the message invisible from now on.
func (e *Engine) Extend(ctx context.Context, d driver.Delivery, visibility time.Duration) error {
	if err := e.leases.Check(d.Handle); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	visibility = min(wholeSeconds(max(visibility, time.Second)), visibilityMax)
	asked := e.now()
	if err := e.hide(ctx, d, visibility); err != nil {
		return e.settle(d, err)
	}
	e.leases.Extend(d.Handle, asked.Add(visibility))
	return nil
}

// again sends a copy of a message to its queue, with the receives that count,
// and deletes the message.
func (e *Engine) again(ctx context.Context, d driver.Delivery, delay time.Duration, receives int) error {
	return e.answer(ctx, d, func(ctx context.Context, d driver.Delivery) error {
		w, err := encode(d.Message, copyBytesMax)
		if err != nil {
			return err
		}
		if receives > 0 {
			w.set(attributeReceives, strconv.Itoa(receives))
		}
		if delay > delayMax {
			w.set(attributeNotBefore, e.now().Add(delay).UTC().Format(time.RFC3339Nano))
		}
		if err := e.put(ctx, d.Queue, w, min(wholeSeconds(max(delay, 0)), delayMax)); err != nil {
			return err
		}
		return e.remove(ctx, d)
	})
}

// answer does what ends a delivery, while its lease is held.
func (e *Engine) answer(
	ctx context.Context, d driver.Delivery, act func(context.Context, driver.Delivery) error,
) error {
	if err := e.leases.Check(d.Handle); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	if err := act(ctx, d); err != nil {
		return e.settle(d, err)
	}
	e.leases.End(d.Handle)
	return nil
}

// settle ends a lease that SQS does not know any more.
func (e *Engine) settle(d driver.Delivery, err error) error {
	if !isStale(err) {
		return fmt.Errorf("message %s: %w", d.ID, err)
	}
	e.leases.End(d.Handle)
	return fmt.Errorf("%w: %w", driver.ErrStale, err)
}

// put sends a message to a queue.
func (e *Engine) put(ctx context.Context, queue string, w wire, delay time.Duration) error {
	url, err := e.queueURL(ctx, queue)
	if err != nil {
		return err
	}
	_, err = e.sqs.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:          url,
		MessageBody:       aws.String(w.body),
		MessageAttributes: sqsAttributes(w.attributes),
		DelaySeconds:      seconds(delay),
	})
	if err != nil {
		return e.onQueue(queue, err)
	}
	return nil
}

func (e *Engine) remove(ctx context.Context, d driver.Delivery) error {
	url, err := e.queueURL(ctx, d.Queue)
	if err != nil {
		return err
	}
	_, err = e.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String(d.Handle)})
	if err != nil {
		return e.onQueue(d.Queue, err)
	}
	return nil
}

// hide makes a message visible again after a time, 0 is at once.
func (e *Engine) hide(ctx context.Context, d driver.Delivery, invisible time.Duration) error {
	url, err := e.queueURL(ctx, d.Queue)
	if err != nil {
		return err
	}
	_, err = e.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: url, ReceiptHandle: aws.String(d.Handle), VisibilityTimeout: seconds(wholeSeconds(invisible)),
	})
	if err != nil {
		return e.onQueue(d.Queue, err)
	}
	return nil
}
