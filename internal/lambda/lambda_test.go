package lambda_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/lambda"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/web"
)

func invoke(t *testing.T, ctx context.Context, f *lambda.Function, event any) (json.RawMessage, error) {
	t.Helper()
	if f.Logger == nil {
		f.Logger = slog.New(slog.DiscardHandler)
	}
	raw, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := f.Invoke(ctx, raw)
	out, marshalErr := json.Marshal(answer)
	if marshalErr != nil {
		t.Fatal(marshalErr)
	}
	return out, err
}

func ask(t *testing.T, h http.Handler, e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	t.Helper()
	e.Version = "2.0"
	out, err := invoke(t, t.Context(), &lambda.Function{HTTP: h}, e)
	if err != nil {
		t.Fatal(err)
	}
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func request(method, path string) events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{RawPath: path, Headers: map[string]string{"host": "shop.example"}}
	e.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path, SourceIP: "203.0.113.7"}
	e.RequestContext.Stage = "$default"
	return e
}

// TestAnEventIsTheRequestThatAServerWouldHaveRead.
func TestAnEventIsTheRequestThatAServerWouldHaveRead(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method, Path, RawPath, Query, Host, Remote, Body, Cookie, Header string
		Length                                                           int64
	}
	look := func(into *seen) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			*into = seen{
				r.Method, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.RemoteAddr, string(body), r.Header.Get("Cookie"),
				strings.Join(r.Header.Values("X-Several"), "|"), r.ContentLength,
			}
		})
	}
	for name, row := range map[string]struct {
		change func(*events.APIGatewayV2HTTPRequest)
		want   func(*seen)
	}{
		"plain":   {func(*events.APIGatewayV2HTTPRequest) {}, func(*seen) {}},
		"body":    {func(e *events.APIGatewayV2HTTPRequest) { e.Body = `{"a":1}` }, func(s *seen) { s.Body, s.Length = `{"a":1}`, 7 }},
		"base64":  {func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = "/wA=", true }, func(s *seen) { s.Body, s.Length = "\xff\x00", 2 }},
		"query":   {func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = "a=1&a=2&b=%2F" }, func(s *seen) { s.Query = "a=1&a=2&b=%2F" }},
		"cookies": {func(e *events.APIGatewayV2HTTPRequest) { e.Cookies = []string{"a=1", "b=2"} }, func(s *seen) { s.Cookie = "a=1; b=2" }},
		"headers": {func(e *events.APIGatewayV2HTTPRequest) { e.Headers["x-several"] = "one,two" }, func(s *seen) { s.Header = "one,two" }},
		"encoded": {func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "/product/a%2Fb" }, func(s *seen) { s.Path, s.RawPath = "/product/a/b", "/product/a%2Fb" }},
		"decoded": {
			func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "/product/도너츠?" },
			func(s *seen) { s.Path, s.RawPath = "/product/도너츠?", "/product/%EB%8F%84%EB%84%88%EC%B8%A0%3F" },
		},
		"stage": {func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.Stage, e.RawPath = "live", "/live/checkout" }, func(*seen) {}},
		"v6":    {func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.SourceIP = "2001:db8::1" }, func(s *seen) { s.Remote = "[2001:db8::1]:0" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := request("POST", "/checkout")
			row.change(&e)
			want := seen{Method: "POST", Path: "/checkout", RawPath: "/checkout", Host: "shop.example", Remote: "203.0.113.7:0"}
			row.want(&want)
			var got seen
			ask(t, look(&got), e)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnswerKeepsItsHeadersItsCookiesAndItsBytes(t *testing.T) {
	t.Parallel()
	got := ask(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Vary", "Accept-Language")
		w.Header().Add("Vary", "Origin")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"message":"구매 실패!"}`)
	}), request("POST", "/checkout"))
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: 409, Headers: map[string]string{"Vary": "Accept-Language, Origin", "Content-Type": "application/json"},
		Cookies: []string{"a=1", "b=2"}, Body: `{"message":"구매 실패!"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	picture := ask(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("\x89PNG\x00\xff")) }), request("GET", "/"))
	if body, err := base64.StdEncoding.DecodeString(picture.Body); err != nil || string(body) != "\x89PNG\x00\xff" || !picture.IsBase64Encoded {
		t.Errorf("bytes: %q, %v", body, err)
	}
	if empty := ask(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), request("GET", "/")); empty.StatusCode != http.StatusOK || empty.Body != "" {
		t.Errorf("nothing said: %+v", empty)
	}
}

// TestAnAnswerThatIsTooLargeIsAFaultThatSaysSo, also one that gets too large only
// on its way: a part of it would be taken for the whole.
func TestAnAnswerThatIsTooLargeIsAFaultThatSaysSo(t *testing.T) {
	t.Parallel()
	const carried = 6 << 20
	for name, row := range map[string]struct {
		part  string
		parts int
		fits  bool
	}{
		"in one piece":      {strings.Repeat("a", carried+1), 1, false},
		"in parts":          {strings.Repeat("a", 1<<20), 7, false},
		"with its headers":  {strings.Repeat("a", carried-100), 1, false},
		"quotes are longer": {strings.Repeat(`"`, carried/2), 1, false},
		"bytes are longer":  {strings.Repeat("\xff", carried/4), 3, false},
		"large":             {strings.Repeat("a<", carried/2-1000), 1, true},
		"large and quoted":  {strings.Repeat(`"a`, carried/4), 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Traceparent", "00-a-b-01")
				w.Header().Set("X-Long", strings.Repeat("h", 200))
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
				for range row.parts {
					_, _ = io.WriteString(w, row.part) // what it says of the rest is up to the handler
				}
			}), request("GET", "/v1/sales"))
			if row.fits {
				if got.StatusCode != http.StatusOK || got.Body != row.part {
					t.Errorf("status %d with %d bytes, want 200 with %d", got.StatusCode, len(got.Body), len(row.part))
				}
				return
			}
			var problem struct {
				Status int    `json:"status"`
				Detail string `json:"detail"`
				Code   string `json:"code"`
			}
			if err := json.Unmarshal([]byte(got.Body), &problem); err != nil {
				t.Fatalf("%v of %d bytes", err, len(got.Body))
			}
			if got.StatusCode != http.StatusInternalServerError || problem.Status != got.StatusCode || problem.Code != "internal" || !strings.Contains(problem.Detail, "larger than the 6 MB") {
				t.Errorf("status %d, %+v", got.StatusCode, problem)
			}
			want := map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Traceparent": "00-a-b-01"}
			if diff := cmp.Diff(want, got.Headers); diff != "" || len(got.Cookies) > 0 {
				t.Errorf("cookies %q, headers (-want +got):\n%s", got.Cookies, diff)
			}
		})
	}
}

// TestAStreamEndsAfterItsFirstEvent, so that the browser has it and asks again.
func TestAStreamEndsAfterItsFirstEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := request("GET", "/dashboard/events")
		e.Headers["accept"] = "text/event-stream"
		got := ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stream, err := web.OpenEventStream(w)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(stream.Beat(), stream.Send("page", "1", []byte("hello"))); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		}), e)
		if !strings.Contains(got.Body, "data: hello") || got.Headers["Content-Type"] != "text/event-stream" {
			t.Errorf("answer %+v", got)
		}
	})
}

// script is a driver that reads messages and notes what it is told.
type script struct {
	driver.Driver
	told map[string]string
}

func (s *script) Read(_ context.Context, name string, messages []sqstypes.Message) ([]driver.Delivery, error) {
	if name != "stock-queue" {
		return nil, errors.New("another queue")
	}
	all := make([]driver.Delivery, len(messages))
	for i, m := range messages {
		all[i] = driver.Delivery{Message: driver.Message{Type: *m.Body}, Queue: name, Handle: *m.ReceiptHandle, Receives: 1}
	}
	return all, nil
}

func (s *script) Done(_ context.Context, d driver.Delivery) error {
	s.told[d.Type] = "done"
	return nil
}

func (s *script) Retry(_ context.Context, d driver.Delivery, _ time.Duration, cause string) error {
	s.told[d.Type] = "retry " + cause
	return nil
}

func (s *script) Later(_ context.Context, d driver.Delivery, _ time.Duration) error {
	s.told[d.Type] = "later"
	return nil
}

func (s *script) Dead(_ context.Context, d driver.Delivery, cause string) error {
	s.told[d.Type] = "dead " + cause
	return nil
}

func batchOf(types ...string) events.SQSEvent {
	var e events.SQSEvent
	for _, name := range types {
		e.Records = append(e.Records, events.SQSMessage{MessageId: "id-" + name, ReceiptHandle: "handle-" + name, Body: name, EventSource: "aws:sqs"})
	}
	return e
}

func failures(t *testing.T, out json.RawMessage) []string {
	t.Helper()
	var answer events.SQSEventResponse
	if err := json.Unmarshal(out, &answer); err != nil || answer.BatchItemFailures == nil {
		t.Fatalf("answer %s, %v: an answer without the list is a failure of all", out, err)
	}
	all := make([]string, 0, len(answer.BatchItemFailures))
	for _, f := range answer.BatchItemFailures {
		all = append(all, f.ItemIdentifier)
	}
	return all
}

// TestABatchNamesWhatFailedAndNothingElse: a failure, a panic and an unknown type
// come again; what is done, or given on, does not.
func TestABatchNamesWhatFailedAndNothingElse(t *testing.T) {
	t.Parallel()
	s := &script{told: map[string]string{}}
	handlers := map[string]queue.Handler{
		"good":  func(context.Context, queue.Message) error { return nil },
		"bad":   func(context.Context, queue.Message) error { return errors.New("away") },
		"later": func(context.Context, queue.Message) error { return queue.Later(time.Second) },
		"panic": func(context.Context, queue.Message) error { panic("oh") },
		"given": func(context.Context, queue.Message) error { return queue.Discard(errors.New("never")) },
	}
	after := 0
	f := &lambda.Function{
		Queue: &lambda.Queue{Name: "stock-queue", Reader: s, Consumer: queue.New(s, "stock-queue", handlers, queue.Config{
			Concurrency: 1, Logger: slog.New(slog.DiscardHandler),
		})},
		After: func(context.Context) { after++ },
	}
	out, err := invoke(t, t.Context(), f, batchOf("good", "bad", "later", "panic", "given", "future"))
	if err != nil {
		t.Fatalf("an error fails the whole batch: %v", err)
	}
	if diff := cmp.Diff([]string{"id-bad", "id-panic", "id-given", "id-future"}, failures(t, out)); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"good": "done", "bad": "retry away", "later": "later", "panic": "retry panic: oh", "given": "dead never",
		"future": s.told["future"],
	}
	if diff := cmp.Diff(want, s.told); diff != "" || !strings.HasPrefix(s.told["future"], "dead ") {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if after != 1 {
		t.Errorf("what follows ran %d times", after)
	}
	if out, _ := invoke(t, t.Context(), f, batchOf("good")); len(failures(t, out)) != 0 {
		t.Errorf("all done, and failures %s", out)
	}
}

// TestWorkEndsBeforeThePlatformEndsIt: the handler's context ends a margin before
// the deadline, what was begun and what was not come again, and nothing is held
// against them.
func TestWorkEndsBeforeThePlatformEndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(4 * time.Second)
		ctx, cancel := context.WithDeadline(t.Context(), deadline)
		defer cancel()
		s := &script{told: map[string]string{}}
		handlers := map[string]queue.Handler{"slow": func(ctx context.Context, _ queue.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		f := &lambda.Function{Queue: &lambda.Queue{Name: "stock-queue", Reader: s, Consumer: queue.New(s, "stock-queue", handlers, queue.Config{
			Concurrency: 1, Logger: slog.New(slog.DiscardHandler),
		})}}
		out, err := invoke(t, ctx, f, batchOf("slow", "waiting"))
		if err != nil || ctx.Err() != nil {
			t.Fatalf("%v; the deadline passed: %v", err, ctx.Err())
		}
		if diff := cmp.Diff([]string{"id-slow", "id-waiting"}, failures(t, out)); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
		if len(s.told) > 0 {
			t.Errorf("told %v of messages that only ran out of time", s.told)
		}
		asked := ask2(t, ctx, deadline)
		if !asked.Before(deadline) {
			t.Errorf("a request has until %s, the platform until %s", asked, deadline)
		}
	})
}

// ask2 gives until when a request may take.
func ask2(t *testing.T, ctx context.Context, deadline time.Time) (until time.Time) {
	t.Helper()
	f := &lambda.Function{HTTP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { until, _ = r.Context().Deadline() })}
	if _, err := invoke(t, ctx, f, request("GET", "/")); err != nil {
		t.Fatal(err)
	}
	if until.IsZero() {
		t.Fatalf("a request has no deadline; the platform's is %s", deadline)
	}
	return until
}

// TestSetupAnswersCloudFormation, which else waits for an hour.
func TestSetupAnswersCloudFormation(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		kind       string
		fails      bool
		wantStatus string
		wantRuns   int
	}{{"Create", false, "SUCCESS", 1}, {"Update", false, "SUCCESS", 1}, {"Update", true, "FAILED", 1}, {"Delete", true, "SUCCESS", 0}} {
		var answer struct {
			Status     string `json:"Status"`
			Reason     string `json:"Reason"`
			PhysicalID string `json:"PhysicalResourceId"`
		}
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
				t.Error(err)
			}
		}))
		runs := 0
		f := &lambda.Function{Setup: func(context.Context) error {
			runs++
			if row.fails {
				return errors.New("the database is away")
			}
			return nil
		}}
		_, err := invoke(t, t.Context(), f, map[string]any{"RequestType": row.kind, "ResponseURL": server.URL, "RequestId": "1", "LogicalResourceId": "Setup"})
		server.Close()
		if err != nil || answer.Status != row.wantStatus || runs != row.wantRuns || answer.PhysicalID == "" {
			t.Errorf("%s: %v, %+v, %d runs", row.kind, err, answer, runs)
		}
		if row.wantStatus == "FAILED" && !strings.Contains(answer.Reason, "the database is away") {
			t.Errorf("reason %q", answer.Reason)
		}
	}
}

func TestAFunctionRefusesEventsOfOthers(t *testing.T) {
	t.Parallel()
	ticks := 0
	f := &lambda.Function{Tick: func(context.Context) error { ticks++; return nil }}
	for _, event := range []any{request("GET", "/"), batchOf("good"), map[string]any{"RequestType": "Create", "ResponseURL": "x"}, map[string]any{}, "text"} {
		if _, err := invoke(t, t.Context(), f, event); err == nil {
			t.Errorf("%v was taken", event)
		}
	}
	if _, err := invoke(t, t.Context(), f, map[string]any{"source": "aws.events", "detail-type": "Scheduled Event"}); err != nil || ticks != 1 {
		t.Errorf("schedule: %v, %d ticks", err, ticks)
	}
}
