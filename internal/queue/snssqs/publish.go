package snssqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	batchLenMax     = 10 // messages in one call, on SNS and SQS alike
	publishParallel = 4  // calls at the same time for one Publish
)

// errUnanswered is that a call succeeded and was silent about a message.
var errUnanswered = errors.New("the answer does not speak of this message")

// batch is what goes to one place in one call.
type batch struct {
	queue   string // "" is the topic
	entries []entry
	bytes   int
}

// entry is one message of a batch.
type entry struct {
	index int // among what Publish was given
	wire  wire
}

// Publish hands messages to the topic, or to the queue that one names.
func (e *Engine) Publish(ctx context.Context, messages []driver.Outgoing) []error {
	results := make([]error, len(messages))
	var sending errgroup.Group
	sending.SetLimit(publishParallel)
	for _, b := range batches(messages, results) {
		sending.Go(func() error {
			e.publish(ctx, b, results)
			return nil
		})
	}
	_ = sending.Wait() // each message has its own error
	return results
}

// batches groups messages by where they go to. What cannot be sent is refused
// in results.
func batches(messages []driver.Outgoing, results []error) []batch {
	var full []batch
	open := make(map[string]*batch)
	for i, m := range messages {
		w, err := encode(m.Message, messageBytesMax)
		if err != nil {
			results[i] = fmt.Errorf("message %s: %w", m.ID, err)
			continue
		}
		b := open[m.Queue]
		if b == nil {
			b = &batch{queue: m.Queue}
			open[m.Queue] = b
		}
		if len(b.entries) == batchLenMax || b.bytes+w.bytes() > batchBytesMax {
			full = append(full, *b)
			*b = batch{queue: m.Queue}
		}
		b.entries = append(b.entries, entry{index: i, wire: w})
		b.bytes += w.bytes()
	}
	for _, b := range open {
		full = append(full, *b)
	}
	return full
}

// publish sends a batch. When the whole call is refused, its messages are sent
// one by one, so that one that is malformed does not stop the others.
func (e *Engine) publish(ctx context.Context, b batch, results []error) {
	failed, err := e.send(ctx, b)
	if err == nil {
		for i, entry := range b.entries {
			results[entry.index] = failed[i]
		}
		return
	}
	if isRefusal(err) && len(b.entries) > 1 {
		for _, one := range b.entries {
			e.publish(ctx, batch{queue: b.queue, entries: []entry{one}}, results)
		}
		return
	}
	if isRefusal(err) {
		err = fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	for _, entry := range b.entries {
		results[entry.index] = err
	}
}

// send makes one call, and gives what became of each entry.
func (e *Engine) send(ctx context.Context, b batch) ([]error, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	if b.queue == "" {
		return e.sendToTopic(ctx, b)
	}
	return e.sendToQueue(ctx, b)
}

func (e *Engine) sendToTopic(ctx context.Context, b batch) ([]error, error) {
	topic, err := e.topicARN(ctx)
	if err != nil {
		return nil, err
	}
	entries := make([]snstypes.PublishBatchRequestEntry, len(b.entries))
	for i, entry := range b.entries {
		entries[i] = snstypes.PublishBatchRequestEntry{
			Id:                aws.String(strconv.Itoa(i)),
			Message:           aws.String(entry.wire.body),
			MessageAttributes: snsAttributes(entry.wire.attributes),
		}
	}
	out, err := e.sns.PublishBatch(ctx, &sns.PublishBatchInput{
		TopicArn: aws.String(topic), PublishBatchRequestEntries: entries,
	})
	if err != nil {
		return nil, e.onTopic(err)
	}
	failed := unanswered(len(b.entries))
	for _, ok := range out.Successful {
		failed.set(ok.Id, nil)
	}
	for _, f := range out.Failed {
		failed.set(f.Id, e.onTopic(entryError(aws.ToString(f.Code), aws.ToString(f.Message), f.SenderFault)))
	}
	return failed, nil
}

func (e *Engine) sendToQueue(ctx context.Context, b batch) ([]error, error) {
	url, err := e.queueURL(ctx, b.queue)
	if err != nil {
		return nil, err
	}
	entries := make([]sqstypes.SendMessageBatchRequestEntry, len(b.entries))
	for i, entry := range b.entries {
		entries[i] = sqstypes.SendMessageBatchRequestEntry{
			Id:                aws.String(strconv.Itoa(i)),
			MessageBody:       aws.String(entry.wire.body),
			MessageAttributes: sqsAttributes(entry.wire.attributes),
		}
	}
	out, err := e.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
	if err != nil {
		return nil, e.onQueue(b.queue, err)
	}
	failed := unanswered(len(b.entries))
	for _, ok := range out.Successful {
		failed.set(ok.Id, nil)
	}
	for _, f := range out.Failed {
		failed.set(f.Id, e.onQueue(b.queue, entryError(aws.ToString(f.Code), aws.ToString(f.Message), f.SenderFault)))
	}
	return failed, nil
}

// outcomes has an error, or nil, for each entry of a batch.
type outcomes []error

func unanswered(n int) outcomes {
	all := make(outcomes, n)
	for i := range all {
		all[i] = errUnanswered
	}
	return all
}

// set takes the id that we gave the entry.
func (o outcomes) set(id *string, err error) {
	if i, atoiErr := strconv.Atoi(aws.ToString(id)); atoiErr == nil && i >= 0 && i < len(o) {
		o[i] = err
	}
}

func snsAttributes(values map[string]string) map[string]snstypes.MessageAttributeValue {
	all := make(map[string]snstypes.MessageAttributeValue, len(values))
	for name, value := range values {
		all[name] = snstypes.MessageAttributeValue{DataType: aws.String(dataType), StringValue: aws.String(value)}
	}
	return all
}

func sqsAttributes(values map[string]string) map[string]sqstypes.MessageAttributeValue {
	all := make(map[string]sqstypes.MessageAttributeValue, len(values))
	for name, value := range values {
		all[name] = sqstypes.MessageAttributeValue{DataType: aws.String(dataType), StringValue: aws.String(value)}
	}
	return all
}
