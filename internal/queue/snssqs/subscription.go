package snssqs

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	subscriptionPagesMax = 100 // of 100 subscriptions
	protocolQueue        = "sqs"
	pendingConfirmation  = "PendingConfirmation" // stands where its ARN should
)

// subscriptions gives the ARNs of the subscriptions of the topic by the ARN of
// their queue.
func (p *provisioner) subscriptions(ctx context.Context) (map[string]string, error) {
	have := make(map[string]string)
	pages := sns.NewListSubscriptionsByTopicPaginator(p.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(p.topic)})
	for range subscriptionPagesMax {
		if !pages.HasMorePages() {
			break
		}
		page, err := nextPage(ctx, p.Engine, pages.NextPage)
		if err != nil {
			return nil, p.onTopic(err)
		}
		for _, s := range page.Subscriptions {
			if aws.ToString(s.Protocol) == protocolQueue {
				have[aws.ToString(s.Endpoint)] = aws.ToString(s.SubscriptionArn)
			}
		}
	}
	return have, nil
}

func (p *provisioner) provisionSubscription(ctx context.Context, route driver.Route, all map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, 6*p.cfg.CallTimeout) // it may make so many
	defer cancel()
	arn := p.arns[route.Queue]
	if arn == "" {
		return nil // the queue is missing, and was found so
	}
	what := "subscription of queue " + p.name(route.Queue)
	subscription, subscribed := all[arn]
	filter, wanted := filterOf(route, p.routes)
	switch {
	case !wanted && !subscribed:
		return nil
	case !wanted:
		return p.found(what, subscription, "none: no message of the topic is for it; remove it by hand", nil)
	case !subscribed:
		return p.found(what, "", "raw delivery of "+filter, func() error { return p.subscribe(ctx, route.Queue, filter) })
	case subscription == pendingConfirmation:
		return p.found(what, subscription, "a confirmed subscription: the owner of the queue has to confirm it", nil)
	}
	return p.compareSubscription(ctx, what, subscription, p.wantOfSubscription(route.Queue, filter))
}

// setting is how an attribute of a subscription should be.
type setting struct {
	name, value string
	same        func(have string) bool
}

// wantOfSubscription lists the scope before the filter: a filter is read in its
// scope.
func (p *provisioner) wantOfSubscription(queue, filter string) []setting {
	redrive := redrivePolicy{Target: p.arns[queue+driver.DeadLetterSuffix]}
	all := []setting{
		{"RawMessageDelivery", "true", func(have string) bool { return have == "true" }},
		{"FilterPolicyScope", "MessageAttributes", func(have string) bool { return have == "" || have == "MessageAttributes" }},
		{"FilterPolicy", filter, func(have string) bool { return sameFilter(have, filter) }},
		{"RedrivePolicy", toJSON(redrive), func(have string) bool { return sameRedrive(have, redrive) }},
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.name == "RedrivePolicy" && redrive.Target == "" })
}

func (p *provisioner) subscribe(ctx context.Context, queue, filter string) error {
	attributes := make(map[string]string)
	for _, want := range p.wantOfSubscription(queue, filter) {
		attributes[want.name] = want.value
	}
	_, err := p.sns.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn:   aws.String(p.topic),
		Protocol:   aws.String(protocolQueue),
		Endpoint:   aws.String(p.arns[queue]),
		Attributes: attributes,
	})
	return err
}

func (p *provisioner) compareSubscription(ctx context.Context, what, arn string, wants []setting) error {
	out, err := p.sns.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: aws.String(arn)})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, want := range wants {
		have := out.Attributes[want.name]
		if want.same(have) {
			continue
		}
		err := p.found(what+": "+want.name, have, want.value, func() error {
			_, err := p.sns.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{
				SubscriptionArn: aws.String(arn), AttributeName: aws.String(want.name), AttributeValue: aws.String(want.value),
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
