package snssqs

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	scheme = "aws:"

	queueNameMax = 80 // characters; a limit of SQS
)

// target is what the URL says.
type target struct {
	topicName string
	topicARN  string // "" when only the name is known
	region    string // "" is that of the SDK's default chain
	endpoint  string // "" is that of AWS
	prefix    string
}

// String gives the URL without its parameters.
func (t target) String() string {
	if t.topicARN != "" {
		return scheme + t.topicARN
	}
	return scheme + t.topicName
}

var (
	topicNames = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	queueNames = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)
)

// parseURL reads the setting; its errors say what is wrong with it.
func parseURL(text string) (target, error) {
	to, err := readURL(text)
	if err != nil {
		return target{}, fmt.Errorf("queue %q: %w; it looks like aws:TOPIC?region=ap-northeast-2&prefix=shop-", text, err)
	}
	return to, nil
}

func readURL(text string) (target, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return target{}, errors.New("it is not of the form aws:TOPIC")
	}
	topic, query, _ := strings.Cut(rest, "?")
	to, err := readTopic(topic)
	if err != nil {
		return target{}, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return target{}, fmt.Errorf("its parameters: %w", err)
	}
	return to, to.readParameters(values)
}

func readTopic(topic string) (target, error) {
	to := target{topicName: topic}
	if arn.IsARN(topic) {
		parts, err := arn.Parse(topic)
		if err != nil {
			return target{}, err
		}
		if parts.Service != "sns" || parts.Region == "" || parts.AccountID == "" {
			return target{}, fmt.Errorf("%s is not the ARN of an SNS topic", topic)
		}
		to = target{topicName: parts.Resource, topicARN: topic, region: parts.Region}
	}
	switch {
	case topic == "":
		return target{}, errors.New("the topic is missing")
	case strings.HasSuffix(to.topicName, ".fifo"):
		return target{}, fmt.Errorf("%s is a FIFO topic; a standard topic is needed", to.topicName)
	case !topicNames.MatchString(to.topicName):
		return target{}, fmt.Errorf("%q is not the name of a topic (letters, digits, - and _)", to.topicName)
	}
	return to, nil
}

func (t *target) readParameters(values url.Values) error {
	for key, all := range values {
		value := all[0]
		switch {
		case len(all) > 1:
			return fmt.Errorf("%s is given %d times", key, len(all))
		case value == "":
			return fmt.Errorf("%s is empty", key)
		case key == "region":
			if t.topicARN != "" && t.region != value {
				return fmt.Errorf("the region is %s, but the topic is in %s", value, t.region)
			}
			t.region = value
		case key == "endpoint":
			u, err := url.Parse(value)
			if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
				return fmt.Errorf("the endpoint %q is not an http or https address", value)
			}
			t.endpoint = value
		case key == "prefix":
			if !queueNames.MatchString(value) {
				return fmt.Errorf("the prefix %q has other characters than letters, digits, - and _", value)
			}
			t.prefix = value
		default:
			return fmt.Errorf("%s is not a parameter; there are region, endpoint and prefix", key)
		}
	}
	return nil
}

// checkRoutes says what SQS would not take, before it has to.
func checkRoutes(to target, routes []driver.Route) error {
	for _, route := range routes {
		name := to.prefix + route.Queue + driver.DeadLetterSuffix
		if route.Queue == "" || !queueNames.MatchString(name) {
			return fmt.Errorf("%q is not the name of a queue (letters, digits, - and _)", route.Queue)
		}
		if len(name) > queueNameMax {
			return fmt.Errorf("queue %s: the name has %d characters, at most %d are allowed; choose a shorter prefix",
				name, len(name), queueNameMax)
		}
	}
	return nil
}

// topicBeside gives the ARN of a topic in the account and region of a queue.
func topicBeside(queueARN, topicName string) (string, error) {
	parts, err := arn.Parse(queueARN)
	if err != nil {
		return "", fmt.Errorf("%q is not the ARN of a queue: %w", queueARN, err)
	}
	parts.Service, parts.Resource = "sns", topicName
	return parts.String(), nil
}
