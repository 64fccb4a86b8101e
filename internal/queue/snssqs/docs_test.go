package snssqs_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/snssqs"
)

// witness notes which actions of IAM a process needs, between it and SNS/SQS.
type witness struct {
	mu      sync.Mutex
	actions map[string]bool
	proxy   *httputil.ReverseProxy
}

func newWitness(t *testing.T, endpoint string) (*witness, string) {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{actions: make(map[string]bool), proxy: httputil.NewSingleHostReverseProxy(target)}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return w, server.URL
}

func (w *witness) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	action = "sqs:" + action
	if form, err := url.ParseQuery(string(body)); !ok && err == nil {
		action = "sns:" + form.Get("Action")
	}
	w.mu.Lock()
	w.actions[strings.TrimSuffix(action, "Batch")] = true // IAM knows no batches
	w.mu.Unlock()
	w.proxy.ServeHTTP(answer, r)
}

// take gives what was needed since it was called last.
func (w *witness) take() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.actions
	w.actions = make(map[string]bool)
	return taken
}

// TestThePermissionsInTheDocumentAreThoseThatAreNeeded: no less, and no more.
func TestThePermissionsInTheDocumentAreThoseThatAreNeeded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w, endpoint := newWitness(t, queuetest.StartSNSSQS(t))
	s.url = regexp.MustCompile(`endpoint=[^&]*`).ReplaceAllString(s.url, "endpoint="+url.QueryEscape(endpoint))
	statements := documented(t)
	look := statements["Look"]
	check := func(sid string, got map[string]bool) {
		t.Helper()
		var needed []string
		for action := range got {
			if sid == "Look" || !slices.Contains(look, action) {
				needed = append(needed, action)
			}
		}
		slices.Sort(needed)
		if d := cmp.Diff(statements[sid], needed); d != "" {
			t.Errorf("%s (-document +needed):\n%s", sid, d)
		}
	}

	// Somebody has begun with a subscription that has to be mended.
	other := s.open(t, []driver.Route{{Queue: stockQueue, Types: []string{"stock.out"}}}, snssqs.Config{})
	s.look(t, other, true)
	e := s.open(t, routes(), snssqs.Config{ReceivesMax: 2})
	s.look(t, e, true)
	check("Provision", w.take())

	s.look(t, e, false)
	byARN := s
	byARN.url = strings.Replace(s.url, s.topic, aws.ToString(s.topicARN(t)), 1)
	fresh := byARN.open(t, routes(), snssqs.Config{})
	s.look(t, fresh, false)
	if _, err := fresh.Depths(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("Look", w.take())

	publish(t, s.open(t, routes(), snssqs.Config{}), driver.Outgoing{Message: message("stock.low", "{}")},
		driver.Outgoing{Message: message("stock.low", "{}"), Queue: stockQueue})
	check("Relay", w.take())

	for _, answer := range []func(driver.Delivery) error{
		func(d driver.Delivery) error { return e.Retry(t.Context(), d, 0, "because") },
		func(d driver.Delivery) error { return e.Extend(t.Context(), d, held) },
		func(d driver.Delivery) error { return e.Later(t.Context(), d, 0) },
		func(d driver.Delivery) error { return e.Done(t.Context(), d) },
		func(d driver.Delivery) error { return e.Dead(t.Context(), d, "because") },
	} {
		publish(t, s.direct(t), driver.Outgoing{Message: message("stock.low", "{}")})
		if err := answer(receive(t, e, stockQueue)); err != nil {
			t.Fatal(err)
		}
	}
	check("Consume", w.take())

	for _, answer := range []func(driver.Delivery) error{
		func(d driver.Delivery) error { return e.Retry(t.Context(), d, 0, "") },
		func(d driver.Delivery) error { return e.Done(t.Context(), d) },
	} {
		if err := answer(receive(t, e, stockQueue+driver.DeadLetterSuffix)); err != nil {
			t.Fatal(err)
		}
	}
	check("Collect", w.take())
}

// direct opens an engine that no witness sees.
func (s site) direct(t *testing.T) *snssqs.Engine {
	t.Helper()
	s.url = regexp.MustCompile(`endpoint=[^&]*`).ReplaceAllString(s.url, "endpoint="+url.QueryEscape(queuetest.StartSNSSQS(t)))
	return s.open(t, routes(), snssqs.Config{})
}

// documented reads the statements of the document: their actions, sorted.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/queue-aws.md")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1) {
		var statement struct {
			Sid    string   `json:"Sid"`
			Action []string `json:"Action"`
		}
		if err := json.Unmarshal(block[1], &statement); err != nil {
			t.Fatalf("%v in\n%s", err, block[1])
		}
		slices.Sort(statement.Action)
		all[statement.Sid] = statement.Action
	}
	return all
}
