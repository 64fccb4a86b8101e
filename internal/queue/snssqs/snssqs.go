// Package snssqs is the queue engine on Amazon SNS and SQS: one topic, which
// copies each message to the queues that its type is for, and a dead-letter
// queue for each of them.
//
// # URL
//
//	aws:TOPIC?region=ap-northeast-2&prefix=shop-&endpoint=http://127.0.0.1:4566
//
// TOPIC is the name of a topic in the account of the queues, or its ARN. A
// queue is named prefix + name, its dead-letter queue prefix + name + "-dlq".
// Without a region, and for credentials, the default chain of the AWS SDK is
// asked: environment, shared files, the role of the machine.
//
// # Messages
//
// The body is the body, as text. What SQS cannot carry is written in base64.
// The attributes are
//
//	id, type, time, subject, traceparent   of the message, with the names of
//	                 CloudEvents 1.0; an empty one is left out
//	encoding         how to read the body: "base64", or "empty", or as it is
//	receives         of a copy: the receives that the message had before it
//	not_before       of a copy: when it may be handed out
//	cause            of a dead letter that we wrote: why it is one
//
// Messages come with raw delivery or in the envelope of SNS. One that has none
// of our attributes was sent by somebody else, and is handed out as
// driver.TypeForeign: its body is {"message":TEXT,"attributes":{NAME:VALUE}},
// and its id is made from that of SNS, which is the same on all queues, or from
// that of SQS.
//
// # Delivery
//
// At least once. SQS does not fence: it takes an old handle for a message that
// somebody else has by now. So a delivery is answered only while its lease is
// held (driver.Leases). A receive that is interrupted may have taken messages
// that nobody got; they come again after their visibility, and it counts.
//
// What SQS does not know is done with copies: Later sends the message anew and
// then deletes it, because SQS never takes a receive back, and Dead sends it to
// the dead-letter queue and then deletes it. A crash in between leaves both.
//
// A dead-letter queue holds what Dead put there, what SQS moved there after too
// many receives, and what SNS could not deliver to the queue.
//
// # Ordering
//
// None is promised.
//
// # Limits
//
// Visibility and delays are whole seconds, rounded up. A visibility ends after
// 12 hours, a delay of SQS after 15 minutes; longer delays are made of several.
// A message has at most 250 KiB with its attributes. SQS counts approximately,
// and does not tell how old its oldest message is.
package snssqs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/restock/restock/internal/queue/driver"
)

// What bounds the calls.
const (
	callTimeoutDefault = 10 * time.Second
	attemptsMax        = 3 // of one call
	retryDelayMax      = 2 * time.Second
	idlePerHostMax     = 64 // connections that are kept
)

// Config adjusts an Engine. Its zero value works.
type Config struct {
	Logger *slog.Logger     // slog.Default
	Now    func() time.Time // time.Now
	// ReceivesMax is what Provision tells SQS: after so many receives without an
	// answer a message goes to the dead-letter queue; 5.
	ReceivesMax int
	// CallTimeout bounds one call, its retries included, and the look for credentials
	// at the start; 10 s.
	CallTimeout time.Duration
	// Credentials replaces the default chain.
	Credentials aws.CredentialsProvider
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ReceivesMax <= 0 {
		c.ReceivesMax = driver.ReceivesMaxDefault
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = callTimeoutDefault
	}
	return c
}

// Engine is one topic with its queues. It is safe for concurrent use.
type Engine struct {
	cfg    Config
	target target
	routes []driver.Route
	sns    *sns.Client
	sqs    *sqs.Client
	http   *awshttp.BuildableClient
	leases driver.Leases

	urls sync.Map // of queues, by name

	topicMu sync.Mutex
	topic   string // ARN, "" until it was needed
}

var _ driver.Broker = (*Engine)(nil)

// Open makes an engine and looks for credentials. It makes no other call: an
// engine that is away is no reason not to start.
func Open(ctx context.Context, url string, routes []driver.Route, cfg Config) (*Engine, error) {
	to, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if err := checkRoutes(to, routes); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = idlePerHostMax
	})
	ctx, cancel := context.WithTimeout(ctx, cfg.CallTimeout)
	defer cancel()
	settings, err := loadSettings(ctx, to, cfg, client)
	if err != nil {
		return nil, err
	}
	return &Engine{
		cfg:    cfg,
		target: to,
		routes: routes,
		sns:    sns.NewFromConfig(settings),
		sqs:    sqs.NewFromConfig(settings),
		http:   client,
		leases: driver.Leases{Now: cfg.Now},
		topic:  to.topicARN,
	}, nil
}

// loadSettings asks the default chain of the SDK, and says what it lacks.
func loadSettings(ctx context.Context, to target, cfg Config, client *awshttp.BuildableClient) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = attemptsMax, retryDelayMax
			})
		}),
	}
	if to.region != "" {
		options = append(options, config.WithRegion(to.region))
	}
	if to.endpoint != "" {
		options = append(options, config.WithBaseEndpoint(to.endpoint))
	}
	if cfg.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(cfg.Credentials))
	}
	settings, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if settings.Region == "" {
		return aws.Config{}, fmt.Errorf("no AWS region for the queue: write %s?region=…, or set AWS_REGION", to)
	}
	if _, err := settings.Credentials.Retrieve(ctx); err != nil {
		return aws.Config{}, fmt.Errorf(
			"no AWS credentials for the queue: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "+
				"or AWS_PROFILE, or give the machine a role: %w", err)
	}
	return settings, nil
}

// Close ends the connections that are idle. Calls that run end with their
// contexts.
func (e *Engine) Close() error {
	if transport := e.http.GetTransport(); transport != nil {
		transport.CloseIdleConnections()
	}
	return nil
}

func (e *Engine) now() time.Time { return e.cfg.Now() }

// name is what a queue of ours is called in SQS.
func (e *Engine) name(queue string) string { return e.target.prefix + queue }

// queueURL asks for the URL of a queue, once.
func (e *Engine) queueURL(ctx context.Context, queue string) (*string, error) {
	if url, ok := e.urls.Load(queue); ok {
		return url.(*string), nil //nolint:forcetypeassert // nothing else is put in.
	}
	out, err := e.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(e.name(queue))})
	if err != nil {
		return nil, e.onQueue(queue, err)
	}
	e.urls.Store(queue, out.QueueUrl)
	return out.QueueUrl, nil
}

// topicARN gives the ARN of the topic. A name is completed with the account of
// our queues.
func (e *Engine) topicARN(ctx context.Context) (string, error) {
	e.topicMu.Lock()
	defer e.topicMu.Unlock()
	if e.topic != "" {
		return e.topic, nil
	}
	var lastErr error
	for _, route := range e.routes {
		arn, err := e.queueARN(ctx, route.Queue)
		if err != nil {
			lastErr = err
			continue
		}
		if e.topic, err = topicBeside(arn, e.target.topicName); err != nil {
			return "", e.onTopic(err)
		}
		return e.topic, nil
	}
	if lastErr != nil {
		return "", lastErr
	}
	return "", fmt.Errorf("topic %s: there is no queue to tell its account by; give the ARN of the topic", e.target.topicName)
}
