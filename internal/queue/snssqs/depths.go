package snssqs

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/restock/restock/internal/queue/driver"
)

// depthsParallel is how many queues are asked at the same time.
const depthsParallel = 4

// Depths asks every queue and dead-letter queue. It is the cheapest call that
// shows whether the engine can be reached.
func (e *Engine) Depths(ctx context.Context) ([]driver.Depth, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.CallTimeout)
	defer cancel()
	depths := make([]driver.Depth, len(e.routes))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(depthsParallel)
	for i, route := range e.routes {
		depth := &depths[i]
		depth.Queue = route.Queue
		asking.Go(func() error {
			have, err := e.attributes(ctx, route.Queue)
			depth.Waiting, depth.InFlight = waiting(have), have.count(sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
			return err
		})
		asking.Go(func() error {
			have, err := e.attributes(ctx, route.Queue+driver.DeadLetterSuffix)
			depth.Dead = waiting(have) + have.count(sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	return depths, nil
}

func waiting(have attributes) int64 {
	return have.count(sqstypes.QueueAttributeNameApproximateNumberOfMessages) +
		have.count(sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed)
}

// attributes are those of a queue, as SQS gives them.
type attributes map[string]string

func (a attributes) get(name sqstypes.QueueAttributeName) string { return a[string(name)] }

func (a attributes) count(name sqstypes.QueueAttributeName) int64 {
	n, _ := strconv.ParseInt(a.get(name), 10, 64) // SQS writes numbers; a missing one is 0
	return n
}

// attributes asks for all attributes of a queue.
func (e *Engine) attributes(ctx context.Context, queue string) (attributes, error) {
	url, err := e.queueURL(ctx, queue)
	if err != nil {
		return nil, err
	}
	out, err := e.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	if err != nil {
		return nil, e.onQueue(queue, err)
	}
	return out.Attributes, nil
}

func (e *Engine) queueARN(ctx context.Context, queue string) (string, error) {
	have, err := e.attributes(ctx, queue)
	return have.get(sqstypes.QueueAttributeNameQueueArn), err
}
