package snssqs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/snssqs"
)

// shortVisibility has room for a long poll in it, which is a second at least.
const shortVisibility = 3 * time.Second

func credentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, _ queuetest.Check) queuetest.Harness {
		t.Helper()
		routes := []driver.Route{{Queue: stockQueue, Rest: true}}
		return queuetest.OnBroker(t, newSite(t).provisioned(t, routes, snssqs.Config{}), stockQueue, shortVisibility)
	})
}
