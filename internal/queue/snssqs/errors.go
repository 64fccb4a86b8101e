package snssqs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/restock/restock/internal/queue/driver"
)

// onQueue says which queue a call was about; the SDK says which call it was.
func (e *Engine) onQueue(queue string, err error) error {
	if isNoQueue(err) {
		return fmt.Errorf("queue %s does not exist: run `restock queue provision`: %w", e.name(queue), err)
	}
	return fmt.Errorf("queue %s: %w", e.name(queue), err)
}

func (e *Engine) onTopic(err error) error {
	if isNoTopic(err) {
		return fmt.Errorf("topic %s does not exist: run `restock queue provision`: %w", e.target.topicName, err)
	}
	return fmt.Errorf("topic %s: %w", e.target.topicName, err)
}

func isNoQueue(err error) bool {
	_, ok := errors.AsType[*sqstypes.QueueDoesNotExist](err)
	return ok
}

func isNoTopic(err error) bool {
	_, ok := errors.AsType[*snstypes.NotFoundException](err)
	return ok
}

// isStale says that SQS knows the handle no more, in one of the ways in which
// it says so.
func isStale(err error) bool {
	if _, ok := errors.AsType[*sqstypes.MessageNotInflight](err); ok {
		return true
	}
	if _, ok := errors.AsType[*sqstypes.ReceiptHandleIsInvalid](err); ok {
		return true
	}
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "InvalidParameterValue" &&
		(strings.Contains(api.ErrorMessage(), "ReceiptHandle") ||
			strings.Contains(api.ErrorMessage(), "not available for visibility timeout change"))
}

// isRefusal says that the fault is in what was sent, and not in who sent it,
// how fast, or to where: the same will be refused for ever.
func isRefusal(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && speaksOfMessage(api.ErrorCode()) &&
		!strings.Contains(api.ErrorMessage(), "TopicArn") && !strings.Contains(api.ErrorMessage(), "QueueUrl")
}

// speaksOfMessage knows the codes that are about a message: its text, its
// attributes or its size.
func speaksOfMessage(code string) bool {
	code = strings.TrimPrefix(code, "AWS.SimpleQueueService.")
	code = strings.TrimSuffix(code, "Exception")
	return slices.Contains([]string{
		"BatchRequestTooLong", "InvalidAttributeValue", "InvalidMessageContents", "InvalidParameter",
		"InvalidParameterValue", "MissingParameter", "ParameterValueInvalid", "Validation", "ValidationError",
	}, code)
}

// isPassing knows the faults of a sender that are not its message's: they end
// when somebody mends a policy, a key or a queue, or waits.
func isPassing(code string) bool {
	for _, part := range []string{"Throttl", "AccessDenied", "Authorization", "KMS", "Kms", "OverLimit", "NonExistent", "DoesNotExist", "NotFound"} {
		if strings.Contains(code, part) {
			return true
		}
	}
	return false
}

// entryError is what became of one message of a batch.
func entryError(code, message string, senderFault bool) error {
	if senderFault && !isPassing(code) {
		return fmt.Errorf("%w: %s: %s", driver.ErrRefused, code, message)
	}
	return fmt.Errorf("%s: %s", code, message)
}
