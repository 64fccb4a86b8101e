package snssqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	retention     = 14 * 24 * time.Hour // the longest that SQS keeps
	topicPagesMax = 200                 // of 100 topics, when a topic is looked for by name
	newQueuePoll  = 500 * time.Millisecond
)

// Provision looks whether topic, queues, policies and subscriptions are there
// and as they should be. What is missing tells nothing of what it would hold:
// a missing queue is one finding.
func (e *Engine) Provision(ctx context.Context, mend bool) ([]driver.Finding, error) {
	p := &provisioner{Engine: e, mend: mend, arns: make(map[string]string)}
	err := p.run(ctx)
	return p.findings, err
}

// provisioner is one run of Provision.
type provisioner struct {
	*Engine

	mend     bool
	findings []driver.Finding
	topic    string            // ARN, "" when it is missing
	arns     map[string]string // of the queues that are there
}

// run goes from what is pointed at to what points at it, so that nothing is
// lost in between: a topic copies to a queue only when the queue lets it.
func (p *provisioner) run(ctx context.Context) error {
	if err := p.provisionTopic(ctx); err != nil {
		return err
	}
	for _, route := range p.routes {
		dead := route.Queue + driver.DeadLetterSuffix
		if err := p.provisionQueue(ctx, dead, ""); err != nil {
			return err
		}
		if err := p.provisionQueue(ctx, route.Queue, p.arns[dead]); err != nil {
			return err
		}
	}
	if p.topic == "" {
		return nil // there can be no subscriptions
	}
	have, err := p.subscriptions(ctx)
	if err != nil {
		return err
	}
	for _, route := range p.routes {
		if err := p.provisionSubscription(ctx, route, have); err != nil {
			return err
		}
	}
	return nil
}

// found notes a difference and, with mend, puts it right.
func (p *provisioner) found(what, have, want string, put func() error) error {
	finding := driver.Finding{What: what, Have: have, Want: want}
	var err error
	if p.mend && put != nil {
		err = put()
		finding.Mended = err == nil
	}
	p.findings = append(p.findings, finding)
	if err != nil {
		return fmt.Errorf("mend %s: %w", what, err)
	}
	return nil
}

// within is a context for one call.
func (e *Engine) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.cfg.CallTimeout)
}

func (p *provisioner) provisionTopic(ctx context.Context) error {
	arn, err := p.findTopic(ctx)
	if err != nil {
		return p.onTopic(err)
	}
	p.topic = arn
	if arn != "" {
		return nil
	}
	return p.found("topic "+p.target.topicName, "", "a standard topic", func() error {
		ctx, cancel := p.within(ctx)
		defer cancel()
		out, err := p.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String(p.target.topicName)})
		if err != nil {
			return err
		}
		p.topic = aws.ToString(out.TopicArn)
		if want := p.target.topicARN; want != "" && want != p.topic {
			return fmt.Errorf("it is %s now and not %s: these credentials belong to another account or partition", p.topic, want)
		}
		return nil
	})
}

// findTopic gives the ARN of the topic, or "" when there is none.
func (p *provisioner) findTopic(ctx context.Context) (string, error) {
	if p.target.topicARN == "" {
		return p.findTopicByName(ctx)
	}
	ctx, cancel := p.within(ctx)
	defer cancel()
	_, err := p.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(p.target.topicARN)})
	if isNoTopic(err) {
		return "", nil
	}
	return p.target.topicARN, err
}

func (p *provisioner) findTopicByName(ctx context.Context) (string, error) {
	pages := sns.NewListTopicsPaginator(p.sns, &sns.ListTopicsInput{})
	for range topicPagesMax {
		if !pages.HasMorePages() {
			return "", nil
		}
		page, err := nextPage(ctx, p.Engine, pages.NextPage)
		if err != nil {
			return "", err
		}
		for _, topic := range page.Topics {
			if arn := aws.ToString(topic.TopicArn); strings.HasSuffix(arn, ":"+p.target.topicName) {
				return arn, nil
			}
		}
	}
	return "", errors.New("there are too many topics to look for it by name; give its ARN")
}

// nextPage gets a page within the time of a call.
func nextPage[T any](ctx context.Context, e *Engine, next func(context.Context, ...func(*sns.Options)) (T, error)) (T, error) {
	ctx, cancel := e.within(ctx)
	defer cancel()
	return next(ctx)
}

// provisionQueue looks after a queue. With an ARN of a dead-letter queue, it
// has that one.
func (p *provisioner) provisionQueue(ctx context.Context, queue, deadARN string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*p.cfg.CallTimeout) // it may make so many
	defer cancel()
	have, err := p.attributes(ctx, queue)
	switch {
	case isNoQueue(err):
		if have, err = p.makeQueue(ctx, queue, deadARN); have == nil {
			return err
		}
	case err != nil:
		return err
	default:
		if err := p.compareQueue(ctx, queue, have, p.wantOf(deadARN)); err != nil {
			return err
		}
	}
	arn := have.get(sqstypes.QueueAttributeNameQueueArn)
	p.arns[queue] = arn
	return p.provisionPolicy(ctx, queue, arn, have.get(sqstypes.QueueAttributeNamePolicy))
}

// makeQueue makes a queue that is missing, and gives its attributes, or nil
// when it may not.
func (p *provisioner) makeQueue(ctx context.Context, queue, deadARN string) (attributes, error) {
	var made attributes
	err := p.found("queue "+p.name(queue), "", "a standard queue", func() error {
		want := make(map[string]string)
		for _, w := range p.wantOf(deadARN) {
			want[string(w.name)] = w.value
		}
		out, err := p.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(p.name(queue)), Attributes: want})
		if err != nil {
			return err
		}
		p.urls.Store(queue, out.QueueUrl)
		made, err = p.whenThere(ctx, queue)
		return err
	})
	return made, err
}

// whenThere asks for the attributes of a new queue until all of SQS knows it,
// which takes about a second.
func (p *provisioner) whenThere(ctx context.Context, queue string) (attributes, error) {
	ticker := time.NewTicker(newQueuePoll)
	defer ticker.Stop()
	for {
		have, err := p.attributes(ctx, queue)
		if !isNoQueue(err) {
			return have, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-ticker.C:
		}
	}
}

func (p *provisioner) compareQueue(ctx context.Context, queue string, have attributes, wants []wanted) error {
	for _, want := range wants {
		if want.satisfied(have) {
			continue
		}
		what := fmt.Sprintf("queue %s: %s", p.name(queue), want.what)
		err := p.found(what, have.get(want.name), want.value, func() error {
			return p.setAttribute(ctx, queue, want.name, want.value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *provisioner) setAttribute(ctx context.Context, queue string, name sqstypes.QueueAttributeName, value string) error {
	url, err := p.queueURL(ctx, queue)
	if err != nil {
		return err
	}
	_, err = p.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: url, Attributes: map[string]string{string(name): value},
	})
	return err
}

// wanted is how an attribute of a queue should be.
type wanted struct {
	name  sqstypes.QueueAttributeName
	what  string // for people
	value string
	// also says that it is right in another way.
	also func(attributes) bool
}

func (w wanted) satisfied(have attributes) bool {
	return have.get(w.name) == w.value || (w.also != nil && w.also(have))
}

// atLeast wants a number, or more.
func atLeast(name sqstypes.QueueAttributeName, what string, n int64) wanted {
	return wanted{
		name: name, what: what, value: strconv.FormatInt(n, 10),
		also: func(have attributes) bool { return have.count(name) >= n },
	}
}

// wantOf lists how a queue should be; with the ARN of its dead-letter queue, it
// moves there what it was asked for too often.
func (p *provisioner) wantOf(deadARN string) []wanted {
	const visibility = int64(driver.VisibilityDefault / time.Second)
	redrive := redrivePolicy{Target: deadARN, ReceivesMax: strconv.Itoa(p.cfg.ReceivesMax)}
	all := []wanted{
		{
			name: sqstypes.QueueAttributeNameSqsManagedSseEnabled, what: "encryption by SQS", value: "true",
			also: func(have attributes) bool { return have.get(sqstypes.QueueAttributeNameKmsMasterKeyId) != "" },
		},
		{name: sqstypes.QueueAttributeNameDelaySeconds, what: "seconds of delay", value: "0"},
		atLeast(sqstypes.QueueAttributeNameMessageRetentionPeriod, "seconds that a message is kept", int64(retention/time.Second)),
		atLeast(sqstypes.QueueAttributeNameVisibilityTimeout, "seconds of visibility timeout", visibility),
		atLeast(sqstypes.QueueAttributeNameReceiveMessageWaitTimeSeconds, "seconds of long polling", int64(waitMax/time.Second)),
		atLeast(sqstypes.QueueAttributeNameMaximumMessageSize, "bytes of a message at most", copyBytesMax),
		{
			name: sqstypes.QueueAttributeNameRedrivePolicy, what: "redrive policy", value: toJSON(redrive),
			also: func(have attributes) bool {
				return sameRedrive(have.get(sqstypes.QueueAttributeNameRedrivePolicy), redrive)
			},
		},
	}
	if deadARN == "" { // it is a dead-letter queue, or its own is missing
		return all[:len(all)-1]
	}
	return all
}

// provisionPolicy lets the topic send to a queue, and to a dead-letter queue,
// where the subscription puts what it cannot deliver.
func (p *provisioner) provisionPolicy(ctx context.Context, queue, arn, have string) error {
	if p.topic == "" || lets(have, arn, p.topic) {
		return nil
	}
	want, err := let(have, arn, p.topic)
	if err != nil {
		return p.onQueue(queue, err)
	}
	return p.found(fmt.Sprintf("queue %s: policy", p.name(queue)), have, want, func() error {
		return p.setAttribute(ctx, queue, sqstypes.QueueAttributeNamePolicy, want)
	})
}
