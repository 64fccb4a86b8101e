// Package lambda lets an AWS Lambda function do what a role of the service does:
// it turns an event into a request for the same http.Handler, or into messages
// for the same queue handlers, and decides nothing itself.
//
// # Events
//
// HTTP requests of API Gateway (HTTP API, payload 2.0) and of a function URL;
// batches of an SQS queue; the schedule of EventBridge; the custom resource of
// CloudFormation. A function takes those that it is made for.
//
// # Time
//
// The platform stops a function at its deadline without a word. So each part
// gets a context that ends a margin earlier: what is not finished by then is
// given up here, answered, and comes again.
//
// # Failures
//
// A batch is answered with the messages that failed and never with an error,
// since an error fails the whole batch. Everything else that fails is an error
// of the invocation, which the platform counts and alarms on.
package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
)

// The margins before the platform's deadline.
const (
	// requestMargin is for writing an answer.
	requestMargin = 500 * time.Millisecond
	// workMargin is for telling SQS and the database what became of messages.
	workMargin = 3 * time.Second
	// afterMax bounds what is done after the work, while somebody waits for the
	// answer.
	afterMax = 2 * time.Second
	// withoutDeadline is how long an invocation without a deadline may take, which
	// the platform never sends.
	withoutDeadline = time.Minute
)

// Function is what one function does. What is nil it does not do.
type Function struct {
	Logger *slog.Logger
	// HTTP answers requests.
	HTTP http.Handler
	// Queue handles batches.
	Queue *Queue
	// Tick does what is due, until its context ends.
	Tick func(ctx context.Context) error
	// Setup brings the database up to date when the stack is deployed.
	Setup func(ctx context.Context) error
	// After does what should follow an invocation at once; what it leaves is picked
	// up later. It is not an error of the invocation.
	After func(ctx context.Context)
}

// event tells the kinds of events apart.
type event struct {
	Records []struct {
		Source string `json:"eventSource"`
	} `json:"Records"`
	RequestContext *struct {
		HTTP *struct{} `json:"http"`
	} `json:"requestContext"`
	Source      string `json:"source"`
	RequestType string `json:"RequestType"`
	ResponseURL string `json:"ResponseURL"`
}

// Invoke handles one event.
func (f *Function) Invoke(ctx context.Context, raw json.RawMessage) (any, error) {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("the event cannot be read: %w", err)
	}
	switch {
	case e.RequestContext != nil && e.RequestContext.HTTP != nil && f.HTTP != nil:
		return f.request(ctx, raw)
	case len(e.Records) > 0 && e.Records[0].Source == "aws:sqs" && f.Queue != nil:
		return f.batch(ctx, raw)
	case e.Source == "aws.events" || e.Source == "aws.scheduler":
		if f.Tick != nil {
			return nil, f.tick(ctx)
		}
	case e.RequestType != "" && e.ResponseURL != "" && f.Setup != nil:
		return f.setup(ctx, raw)
	}
	return nil, errors.New("this function does not take such an event: see RESTOCK_FUNCTION and its event sources")
}

// before is a context that ends a margin before the platform's deadline.
func before(ctx context.Context, margin time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithTimeout(ctx, withoutDeadline)
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// after does what follows, in the time that is left.
func (f *Function) after(ctx context.Context) {
	if f.After == nil {
		return
	}
	ctx, cancel := before(ctx, requestMargin/2)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, afterMax)
	defer stop()
	f.After(ctx)
}

func (f *Function) tick(ctx context.Context) error {
	ctx, cancel := before(ctx, workMargin)
	defer cancel()
	return f.Tick(ctx)
}

// setup answers CloudFormation, which waits for it.
func (f *Function) setup(ctx context.Context, raw json.RawMessage) (any, error) {
	var e cfn.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("the event cannot be read: %w", err)
	}
	wrapped := cfn.LambdaWrap(func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		const physicalID = "restock-setup"
		if e.RequestType == cfn.RequestDelete {
			return physicalID, nil, nil // data is kept when a stack goes
		}
		ctx, cancel := before(ctx, workMargin)
		defer cancel()
		err := f.Setup(ctx)
		if err != nil {
			f.Logger.ErrorContext(ctx, "setting up", "error", err)
		}
		return physicalID, nil, err
	})
	reason, err := wrapped(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("answer CloudFormation: %w", err)
	}
	return reason, nil
}
