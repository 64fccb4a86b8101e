package snssqs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/snssqs"
)

// raw receives one message as an event source would, and keeps it.
func (s site) raw(t *testing.T, queue string) sqstypes.Message {
	t.Helper()
	out, err := s.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: s.queueURL(t, queue), WaitTimeSeconds: 20, VisibilityTimeout: int32(held / time.Second),
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	})
	if err != nil || len(out.Messages) == 0 {
		t.Fatalf("received %v, %v", out, err)
	}
	return out.Messages[0]
}

// TestWhatIsPushedIsDeletedByWhoPushesIt: nothing that we answer deletes a message.
// What comes again does so at once or after the delay, and what comes later is a
// copy that has not used up a receive.
func TestWhatIsPushedIsDeletedByWhoPushesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	p := e.Pushed()
	sent := message("stock.low", `{"a":1}`)
	publish(t, e, driver.Outgoing{Message: sent})
	m := s.raw(t, stockQueue)
	got, err := p.Read(t.Context(), stockQueue, []sqstypes.Message{m})
	if err != nil || len(got) != 1 || got[0].ID != sent.ID || got[0].Receives != 1 || got[0].Handle != aws.ToString(m.ReceiptHandle) {
		t.Fatalf("read %+v, %v", got, err)
	}
	d := got[0]
	if err := p.Done(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if err := p.Dead(t.Context(), d, "because"); err != nil {
		t.Fatal(err)
	}
	again := s.raw(t, stockQueue) // neither has deleted it, and Dead has not moved it
	if aws.ToString(again.MessageId) != aws.ToString(m.MessageId) {
		t.Errorf("another message: %v", again)
	}
	got, err = p.Read(t.Context(), stockQueue, []sqstypes.Message{again})
	if err != nil || len(got) != 1 || got[0].Receives != 2 {
		t.Fatalf("the second receive: %+v, %v", got, err)
	}
	if err := p.Later(t.Context(), got[0], 0); err != nil {
		t.Fatal(err)
	}
	copied := s.raw(t, stockQueue)
	got, err = p.Read(t.Context(), stockQueue, []sqstypes.Message{copied})
	if err != nil || len(got) != 1 || got[0].ID != sent.ID || got[0].Receives != 2 || aws.ToString(copied.MessageId) == aws.ToString(m.MessageId) {
		t.Fatalf("the copy: %+v, %v; want the same message, of which one receive was used up", got, err)
	}
	if err := p.Retry(t.Context(), got[0], 0, "because"); err != nil {
		t.Fatal(err)
	}
	s.raw(t, stockQueue)
	if got, err := p.Receive(t.Context(), stockQueue, driver.Request{Max: 1}); err == nil {
		t.Errorf("what is pushed was received: %v", got)
	}
}

// TestWhatIsPushedTooEarlyIsSentAgain: a delay beyond that of SQS is made of
// several.
func TestWhatIsPushedTooEarlyIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	now := time.Now()
	e := s.provisioned(t, routes(), snssqs.Config{Now: func() time.Time { return now }})
	p := e.Pushed()
	m := message("stock.low", "{}")
	s.sendWith(t, stockQueue, m, map[string]string{"not_before": now.Add(time.Hour).UTC().Format(time.RFC3339Nano)})
	early := s.raw(t, stockQueue)
	got, err := p.Read(t.Context(), stockQueue, []sqstypes.Message{early})
	if err != nil || len(got) != 0 {
		t.Errorf("handed out %v, %v", got, err)
	}
	depths, err := e.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range depths {
		if d.Queue == stockQueue && d.Waiting != 1 {
			t.Errorf("%+v: the copy should wait there", d)
		}
	}
}
