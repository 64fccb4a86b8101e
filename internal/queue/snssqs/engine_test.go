package snssqs_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/snssqs"
)

// TestOpenSaysWhatIsMissing where the SDK's default chain finds nothing.
func TestOpenSaysWhatIsMissing(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for url, want := range map[string]string{
		"aws:stock":                  "no AWS region for the queue: write aws:stock?region=",
		"aws:stock?region=eu-west-1": "no AWS credentials for the queue: set AWS_ACCESS_KEY_ID",
		"aws:stock?region":           "region is empty",
	} {
		if _, err := snssqs.Open(t.Context(), url, routes(), snssqs.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	if _, err := snssqs.Open(t.Context(), "aws:stock", routes(), snssqs.Config{}); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotProvisionedSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, routes(), snssqs.Config{})
	want := "queue " + s.prefix + stockQueue + " does not exist: run `restock queue provision`"
	_, err := e.Receive(t.Context(), stockQueue, driver.Request{Max: 1})
	for call, err := range map[string]error{
		"receive":            err,
		"publish":            e.Publish(t.Context(), []driver.Outgoing{{Message: message("stock.low", "{}"), Queue: stockQueue}})[0],
		"publish on a topic": e.Publish(t.Context(), []driver.Outgoing{{Message: message("stock.low", "{}")}})[0],
	} {
		if err == nil || !strings.Contains(err.Error(), "does not exist: run `restock queue provision`") || errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s: %v, want %q", call, err, want)
		}
	}
	if _, err := e.Depths(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("depths: %v, want %q", err, want)
	}
}

// TestEachTypeLandsOnItsQueues: the filter policies do what the routes say, and
// the rest keeps what no route names.
func TestEachTypeLandsOnItsQueues(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	var messages []driver.Outgoing
	want := make(map[string][]driver.ID)
	for _, messageType := range []string{"stock.low", "stock.out", "stock.back", "order.held", "receipt.held", "stock.moved", ""} {
		m := driver.Outgoing{Message: message(messageType, "{}")}
		messages = append(messages, m)
		for _, queue := range driver.QueuesOf(routes(), m) {
			want[queue] = append(want[queue], m.ID)
		}
	}
	publish(t, e, messages...)
	for _, route := range routes() {
		var got []driver.ID
		for range want[route.Queue] {
			got = append(got, receive(t, e, route.Queue).ID)
		}
		sortIDs(got)
		sortIDs(want[route.Queue])
		if d := cmp.Diff(got, want[route.Queue]); d != "" {
			t.Errorf("%s (-got +want):\n%s", route.Queue, d)
		}
		empty(t, e, route.Queue)
	}
}

func sortIDs(ids []driver.ID) {
	slices.SortFunc(ids, func(a, b driver.ID) int { return strings.Compare(a.String(), b.String()) })
}

// TestMessagesOfAnExistingPartAreKept: they have no type, and go to the rest.
func TestMessagesOfAnExistingPartAreKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	topic := s.topicARN(t)
	_, err := s.sns.Publish(t.Context(), &sns.PublishInput{
		TopicArn: topic, Message: aws.String("도넛 재고가 없습니다"),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{
			"MessageAttributeProductId": {DataType: aws.String("String"), StringValue: aws.String("CP-502101")},
			"Photo":                     {DataType: aws.String("Binary"), BinaryValue: []byte{0}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := receive(t, e, opsQueue)
	want := `{"message":"도넛 재고가 없습니다","attributes":{"MessageAttributeProductId":"CP-502101","Photo":"AA=="}}`
	if string(d.Body) != want || d.Type != driver.TypeForeign {
		t.Errorf("received %s %s, want %s", d.Type, d.Body, want)
	}
	// Given back and given up, it stays the same message.
	if err := e.Later(t.Context(), d, 0); err != nil {
		t.Fatal(err)
	}
	again := receive(t, e, opsQueue)
	if d := cmp.Diff(again.Message, d.Message); d != "" {
		t.Errorf("after Later (-got +want):\n%s", d)
	}
	if err := e.Dead(t.Context(), again, "nobody reads it"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(receive(t, e, opsQueue+driver.DeadLetterSuffix).Message, d.Message); d != "" {
		t.Errorf("as a dead letter (-got +want):\n%s", d)
	}
}

// TestAMessageWithoutAnyAttributeIsDroppedBySNS, whatever the filter says: that
// is what operators are told.
func TestAMessageWithoutAnyAttributeIsDroppedBySNS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	_, err := s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: s.topicARN(t), Message: aws.String("sold out")})
	if err != nil {
		t.Fatal(err)
	}
	empty(t, e, opsQueue)
}

func (s site) topicARN(t *testing.T) *string {
	t.Helper()
	out, err := s.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String(s.topic)})
	if err != nil {
		t.Fatal(err)
	}
	return out.TopicArn
}

// TestAnEnvelopeIsOpened: somebody may have made the subscription without raw
// delivery.
func TestAnEnvelopeIsOpened(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, []driver.Route{{Queue: stockQueue, Types: []string{"stock.low"}}}, snssqs.Config{})
	subscriptions, err := s.sns.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: s.topicARN(t)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{
		SubscriptionArn: subscriptions.Subscriptions[0].SubscriptionArn,
		AttributeName:   aws.String("RawMessageDelivery"), AttributeValue: aws.String("false"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"{}", "", "\x00\xff", `"도넛 🍩"`} {
		m := message("stock.low", body)
		publish(t, e, driver.Outgoing{Message: m})
		d := receive(t, e, stockQueue)
		if diff := cmp.Diff(d.Message, m); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
		if err := e.Done(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
}

func TestManyMessagesGoInAsManyCallsAsTheyNeed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	large := strings.Repeat("x", 100<<10)
	var messages []driver.Outgoing
	want := make(map[driver.ID]string)
	for i := range 23 {
		m := message("stock.low", fmt.Sprint(i))
		if i%4 == 0 {
			m.Body = []byte(large)
		}
		want[m.ID] = string(m.Body)
		messages = append(messages, driver.Outgoing{Message: m, Queue: map[bool]string{true: stockQueue}[i%2 == 0]})
	}
	publish(t, e, messages...)
	got := make(map[driver.ID]string)
	for len(got) < len(want) {
		d := receive(t, e, stockQueue)
		got[d.ID] = string(d.Body)
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	empty(t, e, stockQueue)
}

// TestWhatIsTooLargeIsRefusedAlone: the others of its batch are taken.
func TestWhatIsTooLargeIsRefusedAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	small, large := message("stock.low", "{}"), message("stock.low", strings.Repeat("x", 256<<10))
	for _, queue := range []string{"", stockQueue} {
		errs := e.Publish(t.Context(), []driver.Outgoing{{Message: large, Queue: queue}, {Message: small, Queue: queue}})
		if !errors.Is(errs[0], driver.ErrRefused) || !strings.Contains(errs[0].Error(), large.ID.String()) || errs[1] != nil {
			t.Errorf("to %q: %v, want the first refused, with its id", queue, errs)
		}
		if d := receive(t, e, stockQueue); d.ID != small.ID {
			t.Errorf("received %s, want %s", d.ID, small.ID)
		}
	}
	// What only SQS knows to be too large.
	s.setQueue(t, stockQueue, sqstypes.QueueAttributeNameMaximumMessageSize, "1024")
	large = message("stock.low", strings.Repeat("x", 2<<10))
	errs := e.Publish(t.Context(), []driver.Outgoing{{Message: large, Queue: stockQueue}, {Message: small, Queue: stockQueue}})
	if !errors.Is(errs[0], driver.ErrRefused) || !strings.Contains(errs[0].Error(), s.prefix+stockQueue) || errs[1] != nil {
		t.Errorf("%v, want the first refused, with the queue", errs)
	}
}

func (s site) setQueue(t *testing.T, queue string, name sqstypes.QueueAttributeName, value string) {
	t.Helper()
	_, err := s.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: s.queueURL(t, queue), Attributes: map[string]string{string(name): value},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatWeGiveUpTellsWhy, and how often it was received.
func TestWhatWeGiveUpTellsWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	for cause, want := range map[string]string{
		"no such product":            "no such product",
		"broken \x00 \xff":           "broken \ufffd \ufffd",
		"":                           "no cause was given",
		strings.Repeat("long ", 9e3): strings.Repeat("long ", 9e3)[:4<<10-len("…")] + "…",
	} {
		m := message("stock.low", "{}")
		publish(t, e, driver.Outgoing{Message: m})
		d := receive(t, e, stockQueue)
		if err := e.Retry(t.Context(), d, 0, "once more"); err != nil {
			t.Fatal(err)
		}
		if err := e.Dead(t.Context(), receive(t, e, stockQueue), cause); err != nil {
			t.Fatal(err)
		}
		dead := receive(t, e, stockQueue+driver.DeadLetterSuffix)
		if dead.Cause != want || dead.Receives != 2 || dead.Copy == "" {
			t.Errorf("dead of %q after %d receives, copy %q, want %q after 2", dead.Cause, dead.Receives, dead.Copy, want)
		}
		if d := cmp.Diff(dead.Message, m); d != "" {
			t.Errorf("(-got +want):\n%s", d)
		}
		if err := e.Done(t.Context(), dead); err != nil {
			t.Error(err)
		}
		empty(t, e, stockQueue)
	}
}

// TestWhatSQSGivesUpIsADeadLetterToo, without a cause: nobody lived to say it.
func TestWhatSQSGivesUpIsADeadLetterToo(t *testing.T) {
	t.Parallel()
	const receivesMax = 2
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{ReceivesMax: receivesMax})
	m := message("stock.low", "{}")
	publish(t, e, driver.Outgoing{Message: m})
	// One receive counts, one is given back: both are before the copy.
	for receives := range 2 {
		d := receive(t, e, stockQueue)
		if d.Receives != receives+1 {
			t.Fatalf("receive %d, want %d", d.Receives, receives+1)
		}
		give := func() error { return e.Retry(t.Context(), d, 0, "") }
		if receives == 1 {
			give = func() error { return e.Later(t.Context(), d, 0) }
		}
		if err := give(); err != nil {
			t.Fatal(err)
		}
	}
	for receives := range receivesMax {
		d := receive(t, e, stockQueue)
		if d.Receives != 1+receives+1 {
			t.Fatalf("receive %d of the copy, want %d", d.Receives, receives+2)
		}
		if err := e.Retry(t.Context(), d, 0, ""); err != nil { // as the visibility would
			t.Fatal(err)
		}
	}
	empty(t, e, stockQueue)
	copied := ""
	for range receivesMax + 2 { // however often it is looked at
		dead := receive(t, e, stockQueue+driver.DeadLetterSuffix)
		if dead.ID != m.ID || dead.Cause != "" || dead.Receives != 1+receivesMax {
			t.Errorf("dead: %s of %q after %d receives, want %s of nothing after %d", dead.ID, dead.Cause, dead.Receives, m.ID, 1+receivesMax)
		}
		if dead.Copy == "" || (copied != "" && dead.Copy != copied) {
			t.Errorf("the copy is called %q now, and was %q", dead.Copy, copied)
		}
		copied = dead.Copy
		if err := e.Later(t.Context(), dead, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatSNSCouldNotDeliverIsADeadLetterToo: SNS puts it into the same
// dead-letter queue, as it would have put it into the queue.
func TestWhatSNSCouldNotDeliverIsADeadLetterToo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	m := message("stock.low", "{}")
	publish(t, e, driver.Outgoing{Message: m, Queue: stockQueue + driver.DeadLetterSuffix})
	dead := receive(t, e, stockQueue+driver.DeadLetterSuffix)
	if !strings.Contains(dead.Cause, "SNS could not deliver it") || dead.Receives != 0 || dead.Copy == "" {
		t.Errorf("dead of %q after %d receives, want that SNS could not deliver it", dead.Cause, dead.Receives)
	}
	if d := cmp.Diff(dead.Message, m); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
}

// TestADeadLetterMovedBackByHandBeginsAnew: the console of SQS moves it with
// the attributes that it has as a dead letter.
func TestADeadLetterMovedBackByHandBeginsAnew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{ReceivesMax: 1})
	publish(t, e, driver.Outgoing{Message: message("stock.low", "{}")})
	if err := e.Dead(t.Context(), receive(t, e, stockQueue), "because"); err != nil {
		t.Fatal(err)
	}
	out, err := s.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: s.queueURL(t, stockQueue+driver.DeadLetterSuffix), MessageAttributeNames: []string{"All"}, WaitTimeSeconds: 20,
	})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	_, err = s.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: s.queueURL(t, stockQueue), MessageBody: out.Messages[0].Body, MessageAttributes: out.Messages[0].MessageAttributes,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := receive(t, e, stockQueue)
	if d.Receives != 1 || d.Cause != "" || d.Copy != "" {
		t.Errorf("received %+v, want receive 1 of a message like any", d)
	}
	if err := e.Later(t.Context(), d, 0); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, e, stockQueue); d.Receives != 1 {
		t.Errorf("receive %d after Later, want 1", d.Receives)
	}
}

// TestALongDelayIsMadeOfSeveral: SQS delays a message by 15 minutes at most.
func TestALongDelayIsMadeOfSeveral(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	m := message("stock.low", "{}")
	for name, give := range map[string]func(driver.Delivery) error{
		"later": func(d driver.Delivery) error { return e.Later(t.Context(), d, time.Hour) },
		"retry": func(d driver.Delivery) error { return e.Retry(t.Context(), d, 13*time.Hour, "because") },
	} {
		publish(t, e, driver.Outgoing{Message: m, Queue: stockQueue})
		if err := give(receive(t, e, stockQueue)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		empty(t, e, stockQueue)
		s.wantCounts(t, stockQueue, 0, 0, 1)
		s.purge(t, stockQueue)
	}
	// After the first 15 minutes the rest of the delay begins.
	s.sendWith(t, stockQueue, m, map[string]string{"not_before": time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)})
	empty(t, e, stockQueue)
	s.wantCounts(t, stockQueue, 0, 0, 1)
	// At its end the message is as it was.
	due := time.Now().Add(2 * time.Second)
	s.sendWith(t, stockQueue, m, map[string]string{"not_before": due.UTC().Format(time.RFC3339Nano), "receives": "3"})
	d := receive(t, e, stockQueue)
	if time.Now().Before(due) || d.Receives != 4 || d.ID != m.ID {
		t.Errorf("received %+v before %s, want receive 4", d, due)
	}
}

// sendWith puts a message of ours on a queue, with more attributes.
func (s site) sendWith(t *testing.T, queue string, m driver.Message, more map[string]string) {
	t.Helper()
	attributes := make(map[string]sqstypes.MessageAttributeValue)
	more["id"], more["type"], more["subject"] = m.ID.String(), m.Type, m.Subject
	for name, value := range more {
		attributes[name] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	_, err := s.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: s.queueURL(t, queue), MessageBody: aws.String(string(m.Body)), MessageAttributes: attributes,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s site) purge(t *testing.T, queue string) {
	t.Helper()
	if _, err := s.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: s.queueURL(t, queue)}); err != nil {
		t.Fatal(err)
	}
}

// wantCounts compares how many messages are visible, in flight and delayed.
func (s site) wantCounts(t *testing.T, queue string, want ...int) {
	t.Helper()
	out, err := s.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: s.queueURL(t, queue), AttributeNames: []sqstypes.QueueAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"", "NotVisible", "Delayed"} {
		if got := out.Attributes["ApproximateNumberOfMessages"+name]; got != fmt.Sprint(want[i]) {
			t.Errorf("ApproximateNumberOfMessages%s of %s = %s, want %d", name, queue, got, want[i])
		}
	}
}

func TestDepthsCountWhatIsWhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	for range 4 {
		publish(t, e, driver.Outgoing{Message: message("stock.low", "{}")})
	}
	receive(t, e, stockQueue)
	if err := errors.Join(
		e.Later(t.Context(), receive(t, e, stockQueue), time.Hour),
		e.Dead(t.Context(), receive(t, e, stockQueue), "because"),
	); err != nil {
		t.Fatal(err)
	}
	publish(t, e, driver.Outgoing{Message: message("", "{}")})
	got, err := e.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Depth{
		{Queue: stockQueue, Waiting: 2, InFlight: 1, Dead: 1},
		{Queue: adQueue},
		{Queue: opsQueue, Waiting: 1},
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	receive(t, e, stockQueue+driver.DeadLetterSuffix) // the collector has it, and not yet the desk
	if got, err := e.Depths(t.Context()); err != nil || got[0].Dead != 1 {
		t.Errorf("%+v, %v, want one dead", got, err)
	}
}

// TestAnswersThatSQSDoesNotKnowAreStale: somebody else had the same message,
// also where the lease says that it is ours.
func TestAnswersThatSQSDoesNotKnowAreStale(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	publish(t, e, driver.Outgoing{Message: message("stock.low", "{}")})
	d := receive(t, e, stockQueue)
	_, err := s.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{
		QueueUrl: s.queueURL(t, stockQueue), ReceiptHandle: aws.String(d.Handle),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Extend(t.Context(), d, held); !errors.Is(err, driver.ErrStale) {
		t.Errorf("extend: %v, want ErrStale", err)
	}
}

// TestAProcessThatStoodStillHandsNothingOut: when the answer of SQS is read so
// late, somebody else has the messages.
func TestAProcessThatStoodStillHandsNothingOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	clock := &jumpingClock{now: time.Now()}
	e := s.provisioned(t, routes(), snssqs.Config{Now: clock.read})
	publish(t, e, driver.Outgoing{Message: message("stock.low", "{}")})
	clock.step = time.Minute
	got, err := e.Receive(t.Context(), stockQueue, driver.Request{Max: 1, Visibility: time.Second})
	if err != nil || len(got) > 0 {
		t.Fatalf("received %+v, %v, want nothing", got, err)
	}
	clock.step = 0
	if d := receive(t, e, stockQueue); d.Receives != 2 {
		t.Errorf("receive %d, want 2", d.Receives)
	}
}

// jumpingClock goes on by a step whenever it is read.
type jumpingClock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func (c *jumpingClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

// TestAnEngineThatIsAwayIsAnErrorAndComesBack: nothing is lost meanwhile, and
// nothing is refused or stale.
func TestAnEngineThatIsAwayIsAnErrorAndComesBack(t *testing.T) {
	t.Parallel()
	endpoint := queuetest.StartSNSSQS(t)
	proxy := queuetest.NewProxy(t, strings.TrimPrefix(endpoint, "http://"))
	s := siteAt(t, endpoint)
	s.url = strings.Replace(s.url, url.QueryEscape(endpoint), url.QueryEscape("http://"+proxy.Address()), 1)
	e := s.provisioned(t, routes(), snssqs.Config{})
	first, unsent := message("stock.low", "first"), message("stock.low", "unsent")
	publish(t, e, driver.Outgoing{Message: first})
	d := receive(t, e, stockQueue)

	waiting := make(chan error, 1)
	go func() {
		_, err := e.Receive(t.Context(), adQueue, driver.Request{Max: 1, Visibility: held, Wait: patience})
		waiting <- err
	}()
	proxy.Cut()
	_, depthsErr := e.Depths(t.Context())
	for call, err := range map[string]error{
		"a receive that waits": <-waiting,
		"publish to the topic": e.Publish(t.Context(), []driver.Outgoing{{Message: unsent}})[0],
		"publish to a queue":   e.Publish(t.Context(), []driver.Outgoing{{Message: unsent, Queue: stockQueue}})[0],
		"done":                 e.Done(t.Context(), d),
		"extend":               e.Extend(t.Context(), d, held),
		"later":                e.Later(t.Context(), d, 0),
		"depths":               depthsErr,
	} {
		if err == nil || errors.Is(err, driver.ErrStale) || errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s: %v, want that the engine is away", call, err)
		}
	}
	proxy.Mend()
	if err := e.Done(t.Context(), d); err != nil {
		t.Errorf("done, when it is back: %v", err)
	}
	publish(t, e, driver.Outgoing{Message: unsent})
	if d := receive(t, e, stockQueue); d.ID != unsent.ID {
		t.Errorf("received %s, want %s", d.ID, unsent.ID)
	}
	empty(t, e, stockQueue)
}

// answering opens an engine on an SQS that answers what it is told to.
func answering(t *testing.T) (*answers, *snssqs.Engine) {
	t.Helper()
	a := &answers{}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, siteAt(t, server.URL).open(t, routes(), snssqs.Config{})
}

// TestACrashLeavesTwoCopiesNeverNone: what moves a message sends it first, and
// deletes it when that was taken.
func TestACrashLeavesTwoCopiesNeverNone(t *testing.T) {
	t.Parallel()
	a, e := answering(t)
	for name, move := range map[string]func(driver.Delivery) error{
		"later": func(d driver.Delivery) error { return e.Later(t.Context(), d, 0) },
		"retry": func(d driver.Delivery) error { return e.Retry(t.Context(), d, 12*time.Hour, "because") },
		"dead":  func(d driver.Delivery) error { return e.Dead(t.Context(), d, "because") },
	} {
		d := receive(t, e, stockQueue)
		a.calls = nil
		a.fail = "AccessDenied"
		if err := move(d); err == nil || errors.Is(err, driver.ErrStale) {
			t.Errorf("%s: %v, want that it was not taken", name, err)
		}
		if slices.Contains(a.calls, "DeleteMessage") {
			t.Errorf("%s: it was deleted and never sent: %v", name, a.calls)
		}
		a.fail, a.calls = "", nil
		if err := move(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(slices.DeleteFunc(a.calls, isGetQueueURL), []string{"SendMessage", "DeleteMessage"}); d != "" {
			t.Errorf("%s (-got +want):\n%s", name, d)
		}
	}
}

func isGetQueueURL(call string) bool { return call == "GetQueueUrl" }

// TestAWaitIsShortBesideTheVisibility: a lease counts from before the call, and
// most of it must be left when a message comes at the end of the wait.
func TestAWaitIsShortBesideTheVisibility(t *testing.T) {
	t.Parallel()
	a, e := answering(t)
	a.empty = true
	for _, c := range []struct {
		request driver.Request
		want    []receiveRequest
	}{
		{driver.Request{Max: 4, Visibility: 30 * time.Second, Wait: 20 * time.Second}, []receiveRequest{{4, 30, 10}, {4, 30, 10}}},
		{driver.Request{Max: 100, Visibility: time.Minute, Wait: 20 * time.Second}, []receiveRequest{{10, 60, 20}}},
		{driver.Request{Max: 1, Visibility: 13 * time.Hour, Wait: 25 * time.Second}, []receiveRequest{{1, 43200, 20}, {1, 43200, 5}}},
		{driver.Request{Max: 1, Visibility: 5500 * time.Millisecond, Wait: 4500 * time.Millisecond}, []receiveRequest{{1, 6, 2}, {1, 6, 2}, {1, 6, 1}}},
		{driver.Request{Visibility: time.Millisecond}, []receiveRequest{{1, 1, 1}}},
	} {
		a.asked = nil
		if got, err := e.Receive(t.Context(), stockQueue, c.request); len(got) > 0 || err != nil {
			t.Fatalf("received %+v, %v, want nothing", got, err)
		}
		if d := cmp.Diff(a.asked, c.want); d != "" {
			t.Errorf("%+v (-got +want):\n%s", c.request, d)
		}
	}
}

// TestTheURLOfAQueueIsAskedForOnce.
func TestTheURLOfAQueueIsAskedForOnce(t *testing.T) {
	t.Parallel()
	a, e := answering(t)
	for range 3 {
		if err := e.Done(t.Context(), receive(t, e, stockQueue)); err != nil {
			t.Fatal(err)
		}
	}
	if asked := len(a.calls) - len(slices.DeleteFunc(slices.Clone(a.calls), isGetQueueURL)); asked != 1 {
		t.Errorf("asked %d times, want once: %v", asked, a.calls)
	}
}

// TestACopySaysWhenItIsDue: SQS delays it by 15 minutes, the rest it carries.
func TestACopySaysWhenItIsDue(t *testing.T) {
	t.Parallel()
	a, e := answering(t)
	for _, c := range []struct {
		delay   time.Duration
		seconds int
		carried bool
	}{
		{-time.Second, 0, false},
		{0, 0, false},
		{time.Millisecond, 1, false},
		{15 * time.Minute, 900, false},
		{15*time.Minute + time.Second, 900, true},
		{240 * time.Hour, 900, true},
	} {
		before := time.Now()
		if err := e.Later(t.Context(), receive(t, e, stockQueue), c.delay); err != nil {
			t.Fatal(err)
		}
		text := a.sent.Attributes["not_before"].Value
		if a.sent.Delay != c.seconds || (text != "") != c.carried {
			t.Errorf("later by %s is delayed by %d s and carries %q, want %d s", c.delay, a.sent.Delay, text, c.seconds)
		}
		if due, err := time.Parse(time.RFC3339Nano, text); c.carried &&
			(err != nil || due.Before(before.Add(c.delay)) || due.After(time.Now().Add(c.delay))) {
			t.Errorf("later by %s is due at %s, %v", c.delay, due, err)
		}
	}
}

// TestErrorsAreSortedByWhoseFaultTheyAre: against an SQS that answers what it
// is told to.
func TestErrorsAreSortedByWhoseFaultTheyAre(t *testing.T) {
	t.Parallel()
	a, e := answering(t)
	send := func(n int) []error {
		messages := make([]driver.Outgoing, n)
		for i := range messages {
			messages[i] = driver.Outgoing{Message: message("stock.low", fmt.Sprint(i)), Queue: stockQueue}
		}
		return e.Publish(t.Context(), messages)
	}
	t.Run("one of a batch", func(t *testing.T) {
		for code, refused := range map[string]bool{
			"InvalidMessageContents": true, "InvalidParameterValue": true, "SomethingNew": true,
			"RequestThrottled": false, "KmsAccessDenied": false, "AccessDeniedException": false, "InternalError/": false,
		} {
			name, receiver := strings.CutSuffix(code, "/")
			a.batch = fmt.Sprintf(`{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":%q,"SenderFault":%t}]}`, name, !receiver)
			errs := send(3)
			if errs[0] != nil || errs[1] == nil || errors.Is(errs[1], driver.ErrRefused) != refused {
				t.Errorf("%s: %v, want refused: %t", code, errs, refused)
			}
			if errs[2] == nil || errors.Is(errs[2], driver.ErrRefused) {
				t.Errorf("a message that the answer leaves out: %v, want an error", errs[2])
			}
		}
	})
	t.Run("a whole batch", func(t *testing.T) {
		a.batch = ""
		a.refuseBody = "1"
		errs := send(3)
		if errs[0] != nil || !errors.Is(errs[1], driver.ErrRefused) || errs[2] != nil {
			t.Errorf("%v, want the second refused and the others taken", errs)
		}
		a.refuseBody = ""
		a.fail = "AccessDenied"
		for _, err := range send(2) {
			if err == nil || errors.Is(err, driver.ErrRefused) {
				t.Errorf("%v, want an error of the caller", err)
			}
		}
		a.fail = ""
	})
	t.Run("an answer", func(t *testing.T) {
		for code, stale := range map[string]bool{
			"MessageNotInflight:": true, "ReceiptHandleIsInvalid:": true,
			"InvalidParameterValue:Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.": true,
			"InvalidParameterValue:Total VisibilityTimeout for the message is beyond the limit [43200 seconds]":             false,
			"AccessDenied:": false,
		} {
			d := receive(t, e, stockQueue)
			a.fail = code
			for call, err := range map[string]error{
				"extend": e.Extend(t.Context(), d, held), "retry": e.Retry(t.Context(), d, 0, ""), "done": e.Done(t.Context(), d),
			} {
				if err == nil || errors.Is(err, driver.ErrStale) != stale {
					t.Errorf("%s: %s: %v, want stale: %t", code, call, err, stale)
				}
			}
			a.fail = ""
		}
	})
}
