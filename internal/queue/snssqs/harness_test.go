package snssqs_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/snssqs"
)

const (
	stockQueue = "stock-queue"
	adQueue    = "ad-queue"
	opsQueue   = "ops-queue"

	// patience bounds a wait for what must come.
	patience = 2 * time.Minute
	// held is the visibility of what a test keeps until its end.
	held = time.Hour
)

var anyone = aws.CredentialsProviderFunc(credentials)

// routes are like those of the product: one queue each for some types, and the
// rest to operations.
func routes() []driver.Route {
	return []driver.Route{
		{Queue: stockQueue, Types: []string{"stock.low"}},
		{Queue: adQueue, Types: []string{"stock.out", "stock.back"}},
		{Queue: opsQueue, Types: []string{"order.held", "receipt.held"}, Rest: true},
	}
}

// site is a topic with its queues on the emulator, under names of its own, and
// clients that look at it beside the engine.
type site struct {
	url, topic, prefix string
	sns                *sns.Client
	sqs                *sqs.Client
}

func newSite(t testing.TB) site {
	t.Helper()
	return siteAt(t, queuetest.StartSNSSQS(t))
}

func siteAt(t testing.TB, endpoint string) site {
	t.Helper()
	var random [6]byte
	rand.Read(random[:])
	s := site{topic: "topic-" + hex.EncodeToString(random[:]), prefix: "t" + hex.EncodeToString(random[:]) + "-"}
	s.url = "aws:" + s.topic + "?" + url.Values{
		"region": {"ap-northeast-2"}, "endpoint": {endpoint}, "prefix": {s.prefix},
	}.Encode()
	settings := aws.Config{Region: "ap-northeast-2", Credentials: anyone, BaseEndpoint: aws.String(endpoint)}
	s.sns, s.sqs = sns.NewFromConfig(settings), sqs.NewFromConfig(settings)
	return s
}

// open opens an engine that is not provisioned.
func (s site) open(t testing.TB, routes []driver.Route, cfg snssqs.Config) *snssqs.Engine {
	t.Helper()
	cfg.Credentials, cfg.CallTimeout = anyone, patience
	cfg.Logger = slog.New(slog.DiscardHandler)
	e, err := snssqs.Open(t.Context(), s.url, routes, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// provisioned opens an engine and makes all that it needs.
func (s site) provisioned(t testing.TB, routes []driver.Route, cfg snssqs.Config) *snssqs.Engine {
	t.Helper()
	e := s.open(t, routes, cfg)
	if _, err := e.Provision(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return e
}

// queueURL asks for the URL of a queue by the name that the engine knows it by.
func (s site) queueURL(t *testing.T, queue string) *string {
	t.Helper()
	out, err := s.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(s.prefix + queue)})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueueUrl
}

// receive waits for one message of a queue, and keeps it.
func receive(t *testing.T, e *snssqs.Engine, queue string) driver.Delivery {
	t.Helper()
	got, err := e.Receive(t.Context(), queue, driver.Request{Max: 1, Visibility: held, Wait: patience})
	if err != nil || len(got) == 0 {
		t.Fatalf("received %d messages from %s, %v, want one", len(got), queue, err)
	}
	return got[0]
}

// empty says that nothing is there.
func empty(t *testing.T, e *snssqs.Engine, queue string) {
	t.Helper()
	got, err := e.Receive(t.Context(), queue, driver.Request{Max: 1, Visibility: held})
	if err != nil || len(got) > 0 {
		t.Errorf("received %+v, %v from %s, want nothing", got, err, queue)
	}
}

func publish(t *testing.T, e *snssqs.Engine, messages ...driver.Outgoing) {
	t.Helper()
	if err := errors.Join(e.Publish(t.Context(), messages)...); err != nil {
		t.Fatal(err)
	}
}

func message(messageType, body string) driver.Message {
	m := driver.Message{
		Type: messageType, Subject: "CP-502101", Time: time.Now().UTC().Truncate(time.Microsecond), Body: []byte(body),
	}
	rand.Read(m.ID[:])
	return m
}
