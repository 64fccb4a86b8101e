package awslocal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// until waits for a condition. It gives up when something happened that should
// not, when nothing happens any more, or at last; and says what did not work.
func (s *Story) until(ctx context.Context, what string, met func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last, since, ticks, looks := "", time.Now(), s.Cloud.ticks.Load(), 0
	for {
		if met() {
			return nil
		}
		if fault := s.Cloud.Fault(); fault != nil {
			return fmt.Errorf("waiting for %s: %w", what, fault)
		}
		now := s.Cloud.activity(ctx)
		if now.state != last || now.busy {
			last, since, ticks, looks = now.state, time.Now(), s.Cloud.ticks.Load(), 0
		}
		looks++
		bound := quiet
		if now.hidden {
			bound = quietHidden
		}
		scheduled := s.Cloud.ticks.Load()-ticks >= 3 || len(s.Cloud.schedules()) == 0
		if (time.Since(since) > bound && looks > quietLooks && scheduled) || ctx.Err() != nil {
			return fmt.Errorf("waiting in vain for %s: %s", what, strings.Join(s.Cloud.explain(context.WithoutCancel(ctx)), "; "))
		}
		pause(ctx, lookPace)
	}
}

func (c *Cloud) schedules() []source {
	return slices.DeleteFunc(c.sources(), func(s source) bool { return s.kind == "SQS" })
}

// activity is what can be seen of what happens.
type activity struct {
	state  string // of all that changes
	hidden bool   // a message is: a function has it, or it is to come later
	busy   bool   // a function that no schedule runs is at work, or starts
}

// activity looks at all queues, functions and mails.
func (c *Cloud) activity(ctx context.Context) (a activity) {
	var all []string
	for _, r := range c.stack.made(typeQueue) {
		d := c.depth(ctx, r)
		all = append(all, d.String())
		a.hidden = a.hidden || d.hidden != "0" || d.delayed != "0"
	}
	scheduled := map[string]bool{}
	for _, s := range c.schedules() {
		scheduled[s.function.id] = true
	}
	for id, f := range c.functions {
		a.busy = a.busy || !scheduled[id] && f.atWork()
	}
	counts := c.Counts()
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[id]; !scheduled[id] && c.fed(id) {
			all = append(all, fmt.Sprint(id, n.Invocations))
		}
	}
	mails, _ := c.Mails(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	a.state = fmt.Sprint(all, len(mails), len(c.seen), c.topics)
	return a
}

// fed says whether a function gets its events from a queue.
func (c *Cloud) fed(id string) bool {
	return slices.ContainsFunc(c.sources(), func(s source) bool { return s.function.id == id && s.kind == "SQS" })
}

// depth is how many messages of a queue can be received, are with a receiver, and
// come later, as the emulator says it.
type depth struct{ waiting, hidden, delayed string }

var nothing = depth{"0", "0", "0"}

func (d depth) String() string { return d.waiting + "/" + d.hidden + "/" + d.delayed }

func (c *Cloud) depth(ctx context.Context, r *Resource) depth {
	out, err := c.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(text(c.stack.ref(r.ID))), AttributeNames: []sqstypes.QueueAttributeName{"All"},
	})
	if err != nil {
		return depth{"?", "?", "?"}
	}
	return depth{
		out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"],
		out.Attributes["ApproximateNumberOfMessagesDelayed"],
	}
}

// explain names the parts of the shipped template that should have been at work by
// now and were not.
func (c *Cloud) explain(ctx context.Context) []string {
	var why []string
	full := map[string]bool{}
	for _, r := range c.stack.made(typeQueue) {
		if c.depth(ctx, r).waiting != "0" {
			full[text(c.stack.attribute(r.ID, "Arn"))] = true
		}
	}
	for _, r := range c.shipped.made(typeFunction) {
		for name, e := range object(c.shipped.get(r, "Events")) {
			part, queue := r.ID+"."+name, text(object(object(e)["Properties"])["Queue"])
			switch {
			case queue == "" && !c.Seen(part):
				why = append(why, part+" never ran")
			case full[queue]:
				why = append(why, part+" takes nothing from its queue")
			}
		}
	}
	for _, r := range c.shipped.made(typeSubscription) {
		queue, topic := c.shipped.text(r, "Endpoint"), c.shipped.text(r, "TopicArn")
		if c.shipped.text(r, "Protocol") != "sqs" || full[queue] {
			continue
		}
		c.mu.Lock()
		for kind := range c.topics[topic] {
			n := note{attributes: map[string]string{"type": kind}}
			if kind == noType {
				n.attributes = nil
			}
			if passes(c.shipped.get(r, "FilterPolicy"), n) && !c.arrived[queue][kind] {
				why = append(why, r.ID+" brought no message of type "+kind)
			}
		}
		c.mu.Unlock()
	}
	if len(why) == 0 {
		return []string{"nothing is under way" + c.depths(ctx)}
	}
	slices.Sort(why)
	return slices.Compact(why)
}

// depths tells of the queues that have messages.
func (c *Cloud) depths(ctx context.Context) string {
	var all strings.Builder
	for _, r := range c.stack.made(typeQueue) {
		if d := c.depth(ctx, r); d != nothing {
			fmt.Fprintf(&all, "; %s has %s waiting, hidden and delayed", r.ID, d)
		}
	}
	return all.String()
}
