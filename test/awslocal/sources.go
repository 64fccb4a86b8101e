package awslocal

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	pollers      = 2               // of one event source, when it says nothing
	minute       = time.Second     // how long a minute of a schedule lasts here
	throttlePace = 2 * time.Second // before an event source asks again for a function that was throttled
)

// source is an event source of a function.
type source struct {
	id       string // of its part in the template
	function *function
	kind     string
	of       map[string]any // its properties
}

func (c *Cloud) sources() []source {
	var all []source
	for _, r := range c.stack.made(typeFunction) {
		events := object(c.stack.get(r, "Events"))
		names := make([]string, 0, len(events))
		for name := range events {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			of := object(events[name])
			all = append(all, source{id: r.ID + "." + name, function: c.functions[r.ID], kind: text(of["Type"]), of: object(of["Properties"])})
		}
	}
	return all
}

// checkEventSources refuses what Lambda refuses when an event source is made.
func (c *Cloud) checkEventSources(ctx context.Context) error {
	for _, s := range c.sources() {
		if s.kind != "SQS" {
			continue
		}
		queue := text(s.of["Queue"])
		for _, action := range []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} {
			if err := c.guard.allow(s.function.role, action, queue); err != nil {
				return fmt.Errorf("event source %s: %w", s.id, err)
			}
		}
		for _, r := range c.stack.made(typeQueue) {
			if text(c.stack.attribute(r.ID, "Arn")) != queue {
				continue
			}
			seconds, err := strconv.Atoi(c.stack.text(r, "VisibilityTimeout"))
			if err != nil {
				return fmt.Errorf("%s: its visibility timeout: %w", r.ID, err)
			}
			if visible := time.Duration(seconds) * time.Second; visible < s.function.timeout {
				return fmt.Errorf("event source %s: the visibility timeout %s of %s is less than the timeout %s of %s",
					s.id, visible, r.ID, s.function.timeout, s.function.id)
			}
		}
	}
	return nil
}

func (c *Cloud) startEventSources(ctx context.Context) {
	for _, s := range c.sources() {
		switch s.kind {
		case "SQS":
			n := pollers
			if limit, err := strconv.Atoi(text(object(s.of["ScalingConfig"])["MaximumConcurrency"])); err == nil {
				n = limit
			}
			for range n {
				c.running.Go(func() { c.poll(ctx, s) })
			}
		case "Schedule", "ScheduleV2":
			c.running.Go(func() { c.tickAlong(ctx, s) })
		}
	}
}

// tickAlong runs a schedule again and again, as fast as it gets done.
func (c *Cloud) tickAlong(ctx context.Context, s source) {
	event := toJSON(map[string]any{
		"version": "0", "id": c.newID(), "source": "aws.events", "detail-type": "Scheduled Event", "account": account, "region": region,
		"time": time.Now().UTC().Format(time.RFC3339), "resources": []string{arn("events", "rule/"+s.id)}, "detail": map[string]any{},
	})
	for ctx.Err() == nil {
		if _, err := s.function.invoke(ctx, []byte(event)); err == nil {
			c.worked(s.id)
		}
		c.ticks.Add(1)
		pause(ctx, minute)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// poll is one poller of an event source: it receives, invokes the function, and
// deletes what the function does not report as failed.
func (c *Cloud) poll(ctx context.Context, s source) {
	queue := text(s.of["Queue"])
	name := queue[strings.LastIndexByte(queue, ':')+1:]
	address, err := c.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	if err != nil {
		c.fault("event source %s: %v", s.id, err)
		return
	}
	most, err := strconv.Atoi(text(s.of["BatchSize"]))
	if err != nil {
		most = 10
	}
	for ctx.Err() == nil {
		out, err := c.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: address.QueueUrl, MaxNumberOfMessages: int32(most), WaitTimeSeconds: 20,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			pause(ctx, minute)
			continue
		}
		if len(out.Messages) > 0 {
			c.deliver(context.WithoutCancel(ctx), s, queue, address.QueueUrl, out.Messages)
		}
	}
}

func (c *Cloud) deliver(ctx context.Context, s source, queue string, address *string, messages []sqstypes.Message) {
	records := make([]map[string]any, len(messages))
	for i, m := range messages {
		records[i] = record(m, queue)
		c.received(queue, m)
	}
	answer, err := s.function.invoke(ctx, []byte(toJSON(map[string]any{"Records": records})))
	if err != nil {
		pause(ctx, min(throttlePace, minute))
		return // they become visible again by themselves
	}
	c.worked(s.id)
	failed, whole := failures(answer, s.of)
	if whole {
		return
	}
	for _, m := range messages {
		if slices.Contains(failed, aws.ToString(m.MessageId)) {
			continue
		}
		if err := c.guard.allow(s.function.role, "sqs:DeleteMessage", queue); err != nil {
			c.fault("%v", err)
			return
		}
		if _, err := c.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: address, ReceiptHandle: m.ReceiptHandle}); err != nil {
			c.fault("event source %s: %v", s.id, err)
		}
	}
}

// failures reads which messages of a batch failed; an answer that cannot be read,
// or names a message that was not in it, fails the whole batch.
func failures(answer []byte, of map[string]any) (failed []string, whole bool) {
	if !slices.Contains(list(of["FunctionResponseTypes"]), any("ReportBatchItemFailures")) {
		return nil, false
	}
	var read struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if json.Unmarshal(answer, &read) != nil {
		return nil, true
	}
	for _, f := range read.Failures {
		if f.ID == "" {
			return nil, true
		}
		failed = append(failed, f.ID)
	}
	return failed, false
}

// record is a message as Lambda hands it over.
func record(m sqstypes.Message, queue string) map[string]any {
	attributes := map[string]any{}
	for name, value := range m.MessageAttributes {
		one := map[string]any{"dataType": aws.ToString(value.DataType), "stringListValues": []string{}, "binaryListValues": []string{}}
		if value.StringValue != nil {
			one["stringValue"] = *value.StringValue
		} else {
			one["binaryValue"] = base64.StdEncoding.EncodeToString(value.BinaryValue)
		}
		attributes[name] = one
	}
	return map[string]any{
		"messageId": aws.ToString(m.MessageId), "receiptHandle": aws.ToString(m.ReceiptHandle), "body": aws.ToString(m.Body),
		"attributes": m.Attributes, "messageAttributes": attributes, "md5OfBody": aws.ToString(m.MD5OfBody),
		"eventSource": "aws:sqs", "eventSourceARN": queue, "awsRegion": region,
	}
}

// received notes a message that a topic brought to a queue, and whether the filter
// that the template should have lets it through.
func (c *Cloud) received(queue string, m sqstypes.Message) {
	n := note{body: aws.ToString(m.Body), attributes: map[string]string{}}
	for name, value := range m.MessageAttributes {
		n.attributes[name] = aws.ToString(value.StringValue)
	}
	c.mu.Lock()
	if c.arrived[queue] == nil {
		c.arrived[queue] = map[string]bool{}
	}
	c.arrived[queue][n.kind()] = true
	c.mu.Unlock()
	c.counted(queue, m)
	let, by := false, ""
	for _, r := range c.shipped.made(typeSubscription) {
		if c.shipped.text(r, "Endpoint") != queue {
			continue
		}
		switch {
		case !c.topicHad(c.shipped.text(r, "TopicArn"), n.kind()):
		case passes(c.shipped.get(r, "FilterPolicy"), n):
			let = true
			c.worked(r.ID)
		default:
			by = r.ID
		}
	}
	if !let && by != "" {
		c.fault("%s%s let a message of type %s through", by, filterSuffix, n.kind())
	}
}

// counted looks at how often a message was received: the redrive policy of its
// queue should have moved it.
func (c *Cloud) counted(queue string, m sqstypes.Message) {
	const late = 3
	n, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]) // none is 0
	for _, r := range c.shipped.made(typeQueue) {
		if text(c.shipped.attribute(r.ID, "Arn")) != queue {
			continue
		}
		most, err := strconv.Atoi(text(object(c.shipped.get(r, "RedrivePolicy"))["maxReceiveCount"]))
		if err == nil && n > most+late {
			c.fault("a message was received %d times: %s is missing", n, r.ID+redriveSuffix)
		}
	}
}

func (c *Cloud) topicHad(topic, kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics[topic][kind]
}

func sqsAttributes(values map[string]string) map[string]sqstypes.MessageAttributeValue {
	all := map[string]sqstypes.MessageAttributeValue{}
	for name, value := range values {
		all[name] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	return all
}

func snsAttributes(values map[string]string) map[string]snstypes.MessageAttributeValue {
	all := map[string]snstypes.MessageAttributeValue{}
	for name, value := range values {
		all[name] = snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	return all
}
