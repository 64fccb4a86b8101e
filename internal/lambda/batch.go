package lambda

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
)

// Reader makes deliveries of messages, as an engine wrote them.
type Reader interface {
	Read(ctx context.Context, queue string, messages []sqstypes.Message) ([]driver.Delivery, error)
}

// Queue is the queue whose messages a function handles.
type Queue struct {
	Name     string
	Reader   Reader
	Consumer *queue.Consumer
	// Then does what the handled messages made possible, until its context ends.
	Then func(ctx context.Context) error
}

// batch handles the messages of a batch, and names those that have to come again.
func (f *Function) batch(ctx context.Context, raw json.RawMessage) (any, error) {
	var e events.SQSEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("the batch cannot be read: %w", err)
	}
	failed := f.handle(ctx, e.Records)
	f.after(ctx)
	return events.SQSEventResponse{BatchItemFailures: failed}, nil
}

func (f *Function) handle(ctx context.Context, records []events.SQSMessage) []events.SQSBatchItemFailure {
	ctx, cancel := before(ctx, workMargin)
	defer cancel()
	messages := make([]sqstypes.Message, len(records))
	names := make(map[string]string, len(records)) // of messages, by their handles
	for i, r := range records {
		messages[i] = messageOf(r)
		names[r.ReceiptHandle] = r.MessageId
	}
	failed := []events.SQSBatchItemFailure{} // an empty list says that all are done
	taken, err := f.Queue.Reader.Read(ctx, f.Queue.Name, messages)
	if err != nil {
		f.Logger.ErrorContext(ctx, "messages could not be taken; they come again", "queue", f.Queue.Name, "error", err)
		for _, r := range records {
			failed = append(failed, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
		return failed
	}
	for _, d := range f.Queue.Consumer.Handle(ctx, taken) {
		failed = append(failed, events.SQSBatchItemFailure{ItemIdentifier: names[d.Handle]})
	}
	if f.Queue.Then != nil {
		if err := f.Queue.Then(ctx); err != nil {
			f.Logger.ErrorContext(ctx, "what follows the messages is left to the schedule", "queue", f.Queue.Name, "error", err)
		}
	}
	return failed
}

// messageOf is the message as a receive would have given it.
func messageOf(r events.SQSMessage) sqstypes.Message {
	m := sqstypes.Message{
		MessageId: aws.String(r.MessageId), ReceiptHandle: aws.String(r.ReceiptHandle), Body: aws.String(r.Body),
		Attributes: r.Attributes, MessageAttributes: make(map[string]sqstypes.MessageAttributeValue, len(r.MessageAttributes)),
	}
	for name, value := range r.MessageAttributes {
		m.MessageAttributes[name] = sqstypes.MessageAttributeValue{
			DataType: aws.String(value.DataType), StringValue: value.StringValue, BinaryValue: value.BinaryValue,
		}
	}
	return m
}
