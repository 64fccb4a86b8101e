package snssqs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/snssqs"
)

// whats lists what was found, without the prefix of the site.
func (s site) whats(findings []driver.Finding) []string {
	var all []string
	for _, f := range findings {
		what := strings.ReplaceAll(f.What, s.prefix, "")
		if f.Mended {
			what += " (mended)"
		}
		all = append(all, strings.ReplaceAll(what, s.topic, "TOPIC"))
	}
	return all
}

// look is a Provision that must succeed.
func (s site) look(t *testing.T, e *snssqs.Engine, mend bool) []driver.Finding {
	t.Helper()
	findings, err := e.Provision(t.Context(), mend)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func TestProvisionMakesWhatIsMissingAndThenFindsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, routes(), snssqs.Config{})
	missing := []string{
		"topic TOPIC", "queue stock-queue-dlq", "queue stock-queue", "queue ad-queue-dlq", "queue ad-queue",
		"queue ops-queue-dlq", "queue ops-queue",
	}
	for range 2 { // looking makes nothing
		if d := cmp.Diff(s.whats(s.look(t, e, false)), missing); d != "" {
			t.Fatalf("a look at nothing (-got +want):\n%s", d)
		}
	}
	made := []string{"topic TOPIC (mended)"}
	for _, queue := range []string{"stock-queue", "ad-queue", "ops-queue"} {
		for _, name := range []string{queue + "-dlq", queue} {
			made = append(made, fmt.Sprintf("queue %s (mended)", name), fmt.Sprintf("queue %s: policy (mended)", name))
		}
	}
	for _, queue := range []string{"stock-queue", "ad-queue", "ops-queue"} {
		made = append(made, fmt.Sprintf("subscription of queue %s (mended)", queue))
	}
	if d := cmp.Diff(s.whats(s.look(t, e, true)), made); d != "" {
		t.Errorf("the first time (-got +want):\n%s", d)
	}
	for _, mend := range []bool{true, false} {
		if got := s.look(t, e, mend); len(got) > 0 {
			t.Errorf("the second time, mending %t: %+v, want nothing", mend, got)
		}
	}
	// Another process sees the same, also one that has the ARN of the topic.
	s.url = strings.Replace(s.url, s.topic, *s.topicARN(t), 1)
	if got := s.look(t, s.open(t, routes(), snssqs.Config{}), false); len(got) > 0 {
		t.Errorf("with the ARN: %+v, want nothing", got)
	}
}

func TestQueuesAreMadeAsTheyShouldBe(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.provisioned(t, routes(), snssqs.Config{ReceivesMax: 7})
	dead := s.attributesOf(t, opsQueue+driver.DeadLetterSuffix)
	queue := s.attributesOf(t, opsQueue)
	for name, want := range map[string]string{
		"SqsManagedSseEnabled": "true", "MessageRetentionPeriod": "1209600", "VisibilityTimeout": "30",
		"ReceiveMessageWaitTimeSeconds": "20", "DelaySeconds": "0", "MaximumMessageSize": "1048576",
	} {
		if queue[name] != want || dead[name] != want {
			t.Errorf("%s = %q, and %q of the dead-letter queue, want %s", name, queue[name], dead[name], want)
		}
	}
	if want := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"7"}`, dead["QueueArn"]); queue["RedrivePolicy"] != want {
		t.Errorf("RedrivePolicy = %s, want %s", queue["RedrivePolicy"], want)
	}
	if dead["RedrivePolicy"] != "" {
		t.Errorf("the dead-letter queue has the RedrivePolicy %s, want none", dead["RedrivePolicy"])
	}
	want := map[string]string{
		stockQueue: `{"type":["stock.low"]}`,
		adQueue:    `{"type":["stock.out","stock.back"]}`,
		opsQueue:   `{"type":[{"anything-but":["stock.back","stock.low","stock.out"]},{"exists":false}]}`,
	}
	for queue, filter := range want {
		got := s.subscriptionOf(t, queue)
		redrive := fmt.Sprintf(`{"deadLetterTargetArn":%q}`, s.attributesOf(t, queue+driver.DeadLetterSuffix)["QueueArn"])
		if got["FilterPolicy"] != filter || got["RawMessageDelivery"] != "true" || got["RedrivePolicy"] != redrive {
			t.Errorf("the subscription of %s is %v, want raw delivery of %s with %s", queue, got, filter, redrive)
		}
	}
}

func (s site) attributesOf(t *testing.T, queue string) map[string]string {
	t.Helper()
	out, err := s.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: s.queueURL(t, queue), AttributeNames: []sqstypes.QueueAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// subscriptionOf gives the attributes of a queue's subscription.
func (s site) subscriptionOf(t *testing.T, queue string) map[string]string {
	t.Helper()
	endpoint := s.attributesOf(t, queue)["QueueArn"]
	all, err := s.sns.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: s.topicARN(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Subscriptions {
		if aws.ToString(one.Endpoint) == endpoint {
			out, err := s.sns.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: one.SubscriptionArn})
			if err != nil {
				t.Fatal(err)
			}
			return out.Attributes
		}
	}
	t.Fatalf("queue %s has no subscription", queue)
	return nil
}

func (s site) setSubscription(t *testing.T, queue, name, value string) {
	t.Helper()
	_, err := s.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{
		SubscriptionArn: aws.String(s.subscriptionOf(t, queue)["SubscriptionArn"]),
		AttributeName:   aws.String(name), AttributeValue: aws.String(value),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestProvisionFindsAndMendsEachDifference: a look tells it and changes
// nothing, then it is mended, then nothing is left.
func TestProvisionFindsAndMendsEachDifference(t *testing.T) {
	t.Parallel()
	const stockDead = stockQueue + driver.DeadLetterSuffix
	setQueue := func(queue string, name sqstypes.QueueAttributeName, value string) func(*testing.T, site) {
		return func(t *testing.T, s site) {
			t.Helper()
			s.setQueue(t, queue, name, value)
		}
	}
	setSubscription := func(name, value string) func(*testing.T, site) {
		return func(t *testing.T, s site) {
			t.Helper()
			s.setSubscription(t, opsQueue, name, value)
		}
	}
	for _, c := range []struct {
		name       string
		breakIt    func(*testing.T, site)
		what, have string
		want       string
	}{
		{
			"no encryption", setQueue(stockQueue, "SqsManagedSseEnabled", "false"),
			"queue stock-queue: encryption by SQS", "false", "true",
		},
		{
			"a short retention", setQueue(stockDead, "MessageRetentionPeriod", "345600"),
			"queue stock-queue-dlq: seconds that a message is kept", "345600", "1209600",
		},
		{
			"a short visibility", setQueue(stockQueue, "VisibilityTimeout", "5"),
			"queue stock-queue: seconds of visibility timeout", "5", "30",
		},
		{
			"short polling", setQueue(stockQueue, "ReceiveMessageWaitTimeSeconds", "0"),
			"queue stock-queue: seconds of long polling", "0", "20",
		},
		{"a delay", setQueue(stockQueue, "DelaySeconds", "5"), "queue stock-queue: seconds of delay", "5", "0"},
		{
			"small messages", setQueue(stockDead, "MaximumMessageSize", "262144"),
			"queue stock-queue-dlq: bytes of a message at most", "262144", "1048576",
		},
		{"no redrive", setQueue(stockQueue, "RedrivePolicy", ""), "queue stock-queue: redrive policy", "", `"maxReceiveCount":"5"`},
		{
			"another count", func(t *testing.T, s site) {
				t.Helper()
				arn := s.attributesOf(t, stockDead)["QueueArn"]
				s.setQueue(t, stockQueue, "RedrivePolicy", fmt.Sprintf(`{"maxReceiveCount":9,"deadLetterTargetArn":%q}`, arn))
			}, "queue stock-queue: redrive policy", `"maxReceiveCount":9`, `"maxReceiveCount":"5"`,
		},
		{
			"another dead-letter queue", func(t *testing.T, s site) {
				t.Helper()
				arn := s.attributesOf(t, adQueue)["QueueArn"]
				s.setQueue(t, stockQueue, "RedrivePolicy", fmt.Sprintf(`{"maxReceiveCount":5,"deadLetterTargetArn":%q}`, arn))
			}, "queue stock-queue: redrive policy", `ad-queue"`, `stock-queue-dlq"`,
		},
		{"no policy", setQueue(stockQueue, "Policy", ""), "queue stock-queue: policy", "", `"Sid":"RestockTopic"`},
		{
			"the policy of another topic", func(t *testing.T, s site) {
				t.Helper()
				s.setQueue(t, stockDead, "Policy", strings.ReplaceAll(s.attributesOf(t, stockDead)["Policy"], s.topic, "other"))
			}, "queue stock-queue-dlq: policy", ":other", `"Sid":"RestockTopic"`,
		},
		{"an envelope", setSubscription("RawMessageDelivery", "false"), "subscription of queue ops-queue: RawMessageDelivery", "false", "true"},
		{
			"a filter of the body", setSubscription("FilterPolicyScope", "MessageBody"),
			"subscription of queue ops-queue: FilterPolicyScope", "MessageBody", "MessageAttributes",
		},
		{
			"another filter", setSubscription("FilterPolicy", `{"type":["order.held"]}`),
			"subscription of queue ops-queue: FilterPolicy", `{"type":["order.held"]}`, `"anything-but"`,
		},
		{"no filter", setSubscription("FilterPolicy", ""), "subscription of queue ops-queue: FilterPolicy", "", `"anything-but"`},
		{
			"no dead-letter queue of the subscription", setSubscription("RedrivePolicy", ""),
			"subscription of queue ops-queue: RedrivePolicy", "", `ops-queue-dlq"`,
		},
		{
			"no subscription", func(t *testing.T, s site) {
				t.Helper()
				arn := s.subscriptionOf(t, opsQueue)["SubscriptionArn"]
				if _, err := s.sns.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: aws.String(arn)}); err != nil {
					t.Fatal(err)
				}
			}, "subscription of queue ops-queue", "", "raw delivery",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			e := s.provisioned(t, routes(), snssqs.Config{})
			c.breakIt(t, s)
			for range 2 {
				s.wantFinding(t, s.look(t, e, false), c.what, c.have, c.want)
			}
			s.wantFinding(t, s.look(t, e, true), c.what+" (mended)", c.have, c.want)
			if got := s.look(t, e, false); len(got) > 0 {
				t.Errorf("after it was mended: %+v, want nothing", got)
			}
		})
	}
}

func (s site) wantFinding(t *testing.T, got []driver.Finding, what, have, want string) {
	t.Helper()
	if d := cmp.Diff(s.whats(got), []string{what}); d != "" {
		t.Fatalf("(-got +want):\n%s", d)
	}
	if f := got[0]; !strings.Contains(f.Have, have) || (have == "" && f.Have != "") || !strings.Contains(f.Want, want) {
		t.Errorf("%+v, want have %q and want %q", f, have, want)
	}
}

// TestThatADeletedQueueIsMadeAgain also by an engine that knew it.
func TestADeletedQueueIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	for _, queue := range []string{stockQueue, stockQueue + driver.DeadLetterSuffix} {
		if _, err := s.sqs.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: s.queueURL(t, queue)}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"queue stock-queue-dlq (mended)", "queue stock-queue-dlq: policy (mended)", "queue stock-queue (mended)", "queue stock-queue: policy (mended)",
	}
	if d := cmp.Diff(s.whats(s.look(t, e, true)), want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	publish(t, e, driver.Outgoing{Message: message("stock.low", "{}")})
	receive(t, e, stockQueue)
}

// TestThatOthersHaveWrittenStays: their statements, what is more than we ask
// for, and the same said in other words.
func TestWhatOthersHaveWrittenStays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	queue := s.attributesOf(t, stockQueue)
	const theirs = `{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	s.setQueue(t, stockQueue, "Policy", `{"Version":"2008-10-17","Id":"x","Statement":`+theirs+`}`)
	s.look(t, e, true)
	var policy struct {
		Version   string            `json:"Version"`
		ID        string            `json:"Id"`
		Statement []json.RawMessage `json:"Statement"`
	}
	text := s.attributesOf(t, stockQueue)["Policy"]
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	if policy.Version != "2008-10-17" || policy.ID != "x" || len(policy.Statement) != 2 || !sameJSON(t, string(policy.Statement[0]), theirs) {
		t.Errorf("the policy is %s, want their statement, then ours", text)
	}

	// The same in the words of the console of SQS.
	s.setQueue(t, stockQueue, "Policy", fmt.Sprintf(`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["SQS:SendMessage"],
		"Resource":[%q],"Condition":{"ArnLike":{"aws:SourceArn":[%q]}}}]}`, queue["QueueArn"], *s.topicARN(t)))
	s.setQueue(t, stockQueue, "VisibilityTimeout", "180")
	s.setQueue(t, stockQueue, "RedrivePolicy", fmt.Sprintf(`{ "maxReceiveCount": 5, "deadLetterTargetArn": %q }`,
		s.attributesOf(t, stockQueue+driver.DeadLetterSuffix)["QueueArn"]))
	s.setSubscription(t, adQueue, "FilterPolicy", `{ "type": ["stock.back", "stock.out"] }`)
	s.setSubscription(t, adQueue, "FilterPolicyScope", "MessageAttributes")
	// Encrypted with a key of the shop's own.
	s.setQueue(t, adQueue, "KmsMasterKeyId", "alias/shop")
	s.setQueue(t, adQueue, "SqsManagedSseEnabled", "false")
	if got := s.look(t, e, true); len(got) > 0 {
		t.Errorf("%+v, want nothing", got)
	}
}

func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	return cmp.Equal(a, b)
}

// TestASubscriptionThatNoRouteAsksForIsToldAndLeft: nothing is ever deleted.
func TestASubscriptionThatNoRouteAsksForIsToldAndLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.provisioned(t, routes(), snssqs.Config{})
	changed := routes()
	changed[0].Types = nil // now nothing is for the stock queue
	e := s.open(t, changed, snssqs.Config{})
	want := []string{"subscription of queue stock-queue", "subscription of queue ops-queue: FilterPolicy (mended)"}
	if d := cmp.Diff(s.whats(s.look(t, e, true)), want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	findings := s.look(t, e, true)
	if d := cmp.Diff(s.whats(findings), want[:1]); d != "" || !strings.Contains(findings[0].Want, "remove it by hand") {
		t.Errorf("%+v\n%s", findings, d)
	}
	s.subscriptionOf(t, stockQueue) // it is there
}

// TestTheOnlyRouteGetsEverything needs no filter.
func TestTheOnlyRouteGetsEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, []driver.Route{{Queue: stockQueue, Types: []string{"stock.low"}, Rest: true}}, snssqs.Config{})
	if _, err := s.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: s.topicARN(t), Message: aws.String("no attribute")}); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, e, stockQueue); d.Type != driver.TypeForeign {
		t.Errorf("received %+v, want the message of others", d)
	}
	s.setSubscription(t, stockQueue, "FilterPolicy", "") // as SNS tells it when there is none
	if got := s.look(t, e, false); len(got) > 0 {
		t.Errorf("%+v, want nothing", got)
	}
}

// TestAnUnreadablePolicyIsNotReplaced: a person has to look at it.
func TestAnUnreadablePolicyIsNotReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.provisioned(t, routes(), snssqs.Config{})
	s.setQueue(t, stockQueue, "Policy", "allow all")
	_, err := e.Provision(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), s.prefix+stockQueue+": the policy is not JSON") {
		t.Errorf("%v, want that the policy is not JSON", err)
	}
	if got := s.attributesOf(t, stockQueue)["Policy"]; got != "allow all" {
		t.Errorf("the policy is %q now", got)
	}
}
