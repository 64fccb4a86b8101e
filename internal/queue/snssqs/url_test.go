package snssqs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue/driver"
)

func TestAURLSaysWhereTheQueuesAre(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url  string
		want target
	}{
		{"aws:stock", target{topicName: "stock"}},
		{
			"aws:stock?region=ap-northeast-2&prefix=shop-&endpoint=http%3A%2F%2F127.0.0.1%3A4566",
			target{topicName: "stock", region: "ap-northeast-2", prefix: "shop-", endpoint: "http://127.0.0.1:4566"},
		},
		{
			"aws:arn:aws:sns:ap-northeast-2:123456789012:stock?prefix=shop_",
			target{
				topicName: "stock", topicARN: "arn:aws:sns:ap-northeast-2:123456789012:stock",
				region: "ap-northeast-2", prefix: "shop_",
			},
		},
	} {
		got, err := parseURL(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
		}
		if d := cmp.Diff(got, c.want, cmp.AllowUnexported(target{})); d != "" {
			t.Errorf("%s (-got +want):\n%s", c.url, d)
		}
	}
}

func TestAURLThatIsWrongIsToldWhy(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://127.0.0.1":                  "it is not of the form aws:TOPIC",
		"aws:":                              "the topic is missing",
		"aws:?region=eu-west-1":             "the topic is missing",
		"aws:stock topic":                   `"stock topic" is not the name of a topic`,
		"aws:stock.fifo":                    "stock.fifo is a FIFO topic",
		"aws:arn:aws:sqs:a:1:stock":         "is not the ARN of an SNS topic",
		"aws:arn:aws:sns::1:stock":          "is not the ARN of an SNS topic",
		"aws:stock?zone=a":                  "zone is not a parameter",
		"aws:stock?region=":                 "region is empty",
		"aws:stock?region=a&region=":        "region is given 2 times",
		"aws:stock?%":                       "its parameters",
		"aws:stock?endpoint=localhost:4566": `"localhost:4566" is not an http or https address`,
		"aws:stock?prefix=a/":               `the prefix "a/"`,
		"aws:arn:aws:sns:eu-west-1:1:stock?region=eu-w-3": "the region is eu-w-3, but the topic is in eu-west-1",
	} {
		_, err := parseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "aws:TOPIC") {
			t.Errorf("%s: %v, want %q and an example", url, err, want)
		}
	}
}

func TestQueueNamesThatSQSRefusesAreRefusedFirst(t *testing.T) {
	t.Parallel()
	for queue, want := range map[string]string{
		"":                      "is not the name of a queue",
		"stock queue":           "is not the name of a queue",
		strings.Repeat("q", 73): "has 81 characters, at most 80 are allowed",
	} {
		err := checkRoutes(target{prefix: "shop"}, []driver.Route{{Queue: queue}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("queue %q: %v, want %q", queue, err, want)
		}
	}
	if err := checkRoutes(target{prefix: "shop-"}, []driver.Route{{Queue: "stock-queue"}}); err != nil {
		t.Error(err)
	}
}
