package story_test

import (
	"crypto/rand"
	"errors"
	"net/url"
	"os/exec"
	"testing"

	"github.com/restock/restock/internal/queue/queuetest"
)

// engineKind is one kind of place where messages can be.
type engineKind struct {
	name string
	// open gives an engine with everything on it that restock needs.
	open func(t *testing.T) *engine
}

// engine is where the messages of one story are.
type engine struct {
	url         string
	environment []string // of the processes that reach it
	stop, start func() error
}

func engines() []engineKind {
	return append([]engineKind{{"embedded", openEmbedded}}, brokers()...)
}

// brokers are the engines that can be away while the database is there.
func brokers() []engineKind {
	return []engineKind{{"JetStream", openJetStream}, {"SNS and SQS", openSNSSQS}}
}

func openEmbedded(*testing.T) *engine {
	inside := func() error { return errors.New("the embedded engine goes away with the database only") }
	return &engine{url: "db:", stop: inside, start: inside}
}

func openJetStream(t *testing.T) *engine {
	t.Helper()
	server := queuetest.StartNATS(t)
	e := &engine{
		url:   server.URL(),
		stop:  func() error { server.Stop(); return nil },
		start: func() error { server.Start(); return nil },
	}
	return e.provision(t)
}

// openSNSSQS gives a topic of its own on the emulator, behind a proxy that can
// be cut off: the emulator keeps its messages, as AWS would.
func openSNSSQS(t *testing.T) *engine {
	t.Helper()
	endpoint, err := url.Parse(queuetest.StartSNSSQS(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := queuetest.NewProxy(t, endpoint.Host)
	own := rand.Text()
	e := &engine{
		url:         "aws:stock-" + own + "?" + url.Values{"endpoint": {"http://" + proxy.Address()}, "prefix": {own + "-"}}.Encode(),
		environment: queuetest.AWSEnvironment(),
		stop:        func() error { proxy.Cut(); return nil },
		start:       func() error { proxy.Mend(); return nil },
	}
	return e.provision(t)
}

// provision makes what is needed, with the command that operators have for it.
func (e *engine) provision(t *testing.T) *engine {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary(), "queue", "provision", "--queue", e.url)
	command.Env = append(userEnvironment(), e.environment...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("queue provision: %v\n%s", err, out)
	}
	return e
}
