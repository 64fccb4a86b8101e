package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/webhook"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// hooked is one webhook that was taken.
type hooked struct {
	ID   string     `json:"id"`
	Type string     `json:"type"`
	Time time.Time  `json:"time"`
	Data hookedData `json:"data"`
}

type hookedData struct {
	Problems  []hookedProblem  `json:"problems"`
	Recovered []hookedRecovery `json:"recovered"`
	Total     int64            `json:"total"`
}

type hookedProblem struct {
	Kind    string    `json:"kind"`
	ID      string    `json:"id"`
	SKU     string    `json:"sku"`
	Subject string    `json:"subject"`
	Title   string    `json:"title"`
	Summary string    `json:"summary"`
	Look    string    `json:"look"`
	Since   time.Time `json:"since"`
	Count   int64     `json:"count"`
}

type hookedRecovery struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
	Title   string    `json:"title"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// receiver is a real one, which verifies what it gets.
type receiver struct {
	t      *testing.T
	url    string
	answer func(w http.ResponseWriter, r *http.Request) // nil takes it

	mu    sync.Mutex
	asked []string // the ids, also of what was not taken
	taken []hooked
}

func receive(t *testing.T) *receiver {
	t.Helper()
	rc := &receiver{t: t}
	server := httptest.NewServer(rc)
	t.Cleanup(server.Close)
	rc.url = server.URL
	return rc
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil && r.Context().Err() != nil {
		return // it was given up
	}
	if err != nil {
		rc.t.Error(err)
	}
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		rc.t.Error(err)
		return
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		rc.t.Errorf("the signature: %v", err)
	}
	rc.mu.Lock()
	rc.asked = append(rc.asked, r.Header.Get(webhook.HeaderID))
	answer := rc.answer
	rc.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	var got hooked
	if err := json.Unmarshal(body, &got); err != nil || got.ID != r.Header.Get(webhook.HeaderID) {
		rc.t.Errorf("%v: posted %s", err, body)
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.taken = append(rc.taken, got)
}

func (rc *receiver) answers(answer func(http.ResponseWriter, *http.Request)) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.answer = answer
}

func (rc *receiver) got() []hooked {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]hooked(nil), rc.taken...)
}

func (rc *receiver) ids() []string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]string(nil), rc.asked...)
}

// patience bounds a wait for an answer that must come.
const patience = 2 * time.Minute

// hookedTo tells an office of the receiver, and to wait for its answers.
func (rc *receiver) hookedTo(cfg *ops.Config) { rc.hookedFor(cfg, patience) }

// hookedFor is hookedTo with a limit for each answer.
func (rc *receiver) hookedFor(cfg *ops.Config, limit time.Duration) {
	secret, err := webhook.ParseSecret(hookSecret)
	if err != nil {
		rc.t.Fatal(err)
	}
	cfg.Webhook, err = webhook.New(rc.url, webhook.Config{Secret: secret, DialTimeout: patience, TotalTimeout: limit})
	if err != nil {
		rc.t.Fatal(err)
	}
}

func TestTheWebhookTellsWhatTheMailTells(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo)
	d.buy(30)
	dead := d.die(restock.StockQueue)
	order := d.refused()
	d.must(d.office.Tell(t.Context()))
	d.must(d.office.Post(t.Context()))
	d.must(d.office.Post(t.Context()))
	got := rc.got()
	if len(got) != 1 {
		t.Fatalf("%d webhooks, want 1", len(got))
	}
	mails := d.box.sent()
	if len(mails) != 1 || !strings.Contains(mails[0].ID, got[0].ID) || !mails[0].Date.Equal(got[0].Time) {
		t.Errorf("the webhook %s of %s, the mails %+v", got[0].ID, got[0].Time, mails)
	}
	var lines []string
	for _, p := range got[0].Data.Problems {
		lines = append(lines, fmt.Sprintf("%s %s %d: %s, %s: %s, since %s", p.Kind, p.SKU, p.Count, p.Title, p.Summary, p.Look, p.Since.Format(time.DateTime)))
	}
	want := []string{
		"dead_letter CP-1 1: dead letter CP-1, stock-queue-dlq: stock.low: it cannot be read: restock dead show " + dead.String() + ", since 2026-03-01 00:30:00",
		"order_held CP-1 1: order held CP-1, FF-1 refused it: factory refused with 400: restock orders show " + order.String() + ", since 2026-03-01 00:30:00",
	}
	if diff := cmp.Diff(want, lines); diff != "" || got[0].Data.Total != 2 || got[0].Type != "operations.digest" {
		t.Errorf("webhook %+v (-want +got):\n%s", got[0], diff)
	}
}

// TestAWebhookThatFailsIsRepeatedWithTheSameID has a receiver that fails in each
// way, while mails go.
func TestAWebhookThatFailsIsRepeatedWithTheSameID(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo)
	d.problem(0, "body")
	for cause, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"answered 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirects are not followed": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		rc.answers(answer)
		if err := d.office.Post(t.Context()); err == nil || !strings.Contains(err.Error(), cause) {
			t.Errorf("error %v, want %s", err, cause)
		}
		d.must(d.office.Tell(t.Context()))
	}
	hanging := d.postInVain()
	const more = 3
	for n := range more {
		d.clock.advance(time.Hour)
		d.problem(1+n, "body")
		d.must(d.office.Tell(t.Context()))
	}
	if n := len(d.box.sent()); n != 1+more {
		t.Errorf("%d mails while the webhook was down, want %d", n, 1+more)
	}
	if got := read[ops.StatusReport](d, "/v1/status"); got.WebhooksWaiting != 1+more || got.DigestsWaiting != 0 {
		t.Errorf("%d webhooks and %d mails wait, want %d and none", got.WebhooksWaiting, got.DigestsWaiting, 1+more)
	}
	tries := rc.ids()
	rc.answers(nil)
	for range 3 {
		d.must(d.office.Post(t.Context()))
	}
	got := rc.got()
	if len(got) != 2 || got[0].Data.Total != 1 || got[1].Data.Total != more {
		t.Fatalf("webhooks %+v, want the first problem, and one of the %d others", got, more)
	}
	for _, id := range slices.Concat(tries, hanging) {
		if id != got[0].ID {
			t.Errorf("a try had the id %s, the one that was taken %s", id, got[0].ID)
		}
	}
	if got[1].ID == got[0].ID {
		t.Error("another webhook has the same id")
	}
}

// postInVain posts to a receiver that hangs, and gives the ids that it heard: on a
// slow machine it may be given up before it hears anything.
func (d *desk) postInVain() []string {
	d.t.Helper()
	rc, over := receive(d.t), make(chan struct{})
	d.t.Cleanup(func() { close(over) })
	rc.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	cfg := ops.Config{To: "ops@donut.example", Domain: "donut.example", Now: d.clock.now}
	rc.hookedFor(&cfg, 200*time.Millisecond)
	err := ops.New(officeStore{d.store}, d.store.Queue(), d.box, cfg).Post(d.t.Context())
	if err == nil || !strings.Contains(err.Error(), "no answer within 200ms") {
		d.t.Errorf("error %v, want that there was no answer", err)
	}
	return rc.ids()
}

func TestAReceiverOfOperationsThatAsksForAPauseGetsIt(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo)
	rc.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	d.problem(1, "body")
	if err := d.office.Post(t.Context()); err == nil || !strings.Contains(err.Error(), "2m0s") {
		t.Errorf("error %v, want the pause", err)
	}
	rc.answers(nil)
	d.must(d.office.Tell(t.Context()))
	if n := len(d.box.sent()); n != 1 {
		t.Errorf("%d mails, want one: they do not wait for the webhook", n)
	}
	d.clock.advance(2*time.Minute - time.Millisecond)
	d.must(d.office.Post(t.Context()))
	if n := len(rc.ids()); n != 1 {
		t.Errorf("the receiver was asked %d times within the pause, want once", n)
	}
	d.clock.advance(time.Millisecond)
	d.must(d.office.Post(t.Context()))
	if got := rc.got(); len(got) != 1 || got[0].Data.Total != 1 {
		t.Errorf("webhooks %+v after the pause, want the problem", got)
	}
}

// mailServer is a real one that can be out of order.
type mailServer struct {
	mu    sync.Mutex
	down  bool
	mails []string
}

func (s *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return mailSession{s}, nil }

func (s *mailServer) fails(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

type mailSession struct{ *mailServer }

func (mailSession) Reset()                               {}
func (mailSession) Logout() error                        { return nil }
func (mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s mailSession) Mail(string, *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
	}
	return nil
}

func (s mailSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, string(content))
	return err
}

func (s *mailServer) open(t *testing.T) mail.Sender {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(s)
	server.Domain, server.ErrorLog = "relay.example", log.New(io.Discard, "", 0)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // it ends with Close
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	sender, err := mail.Open("smtp://"+listener.Addr().String(), mail.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func TestAMailServerThatIsDownDoesNotHoldTheWebhookBack(t *testing.T) {
	t.Parallel()
	rc, server := receive(t), &mailServer{}
	d := open(t)
	cfg := ops.Config{From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example", Now: d.clock.now}
	rc.hookedTo(&cfg)
	office := ops.New(officeStore{d.store}, d.store.Queue(), server.open(t), cfg)
	server.fails(true)
	const problems = 3
	for n := range problems {
		d.problem(n, "body")
		if err := office.Tell(t.Context()); err == nil || !strings.Contains(err.Error(), "greylisted") {
			t.Errorf("error %v, want that of the mail server", err)
		}
		d.must(office.Post(t.Context()))
		d.clock.advance(time.Hour)
	}
	if n := len(rc.got()); n != problems {
		t.Errorf("%d webhooks while the mail server was down, want %d", n, problems)
	}
	server.fails(false)
	for range 3 {
		d.must(office.Tell(t.Context()))
	}
	if len(server.mails) != 2 || !strings.Contains(server.mails[0], rc.got()[0].ID) ||
		!strings.Contains(server.mails[0], "Subject: restock: receipt held\r\n") ||
		!strings.Contains(server.mails[1], fmt.Sprintf("Subject: restock: %d problems need a look\r\n", problems-1)) {
		t.Errorf("mails %q, want one of the first problem and one of the others", server.mails)
	}
}

// letters publishes messages that nobody can read, and gives them up.
func (d *desk) letters(n int) {
	d.t.Helper()
	products := make([]restock.CatalogProduct, 0, n)
	for i := range n {
		products = append(products, restock.CatalogProduct{SKU: restock.SKU(fmt.Sprintf("P-%04d", i)), Name: "도너츠", OrderQuantity: 10, Factory: "FF-1"})
	}
	c := restock.Catalog{Factories: []restock.CatalogFactory{{Identifier: "FF-1", URL: "http://127.0.0.1:4000/"}}, Products: products}
	c.Fill()
	_, err := officeStore{d.store}.ApplyCatalog(d.t.Context(), c, false)
	d.must(err)
	for given := 0; given < n; {
		got, err := d.store.Queue().Receive(d.t.Context(), restock.StockQueue, driver.Request{Max: 100, Visibility: time.Minute})
		d.must(err)
		var all sync.WaitGroup // in one commit
		for _, m := range got {
			all.Go(func() {
				if err := d.store.Queue().Dead(d.t.Context(), m, "it cannot be read"); err != nil {
					d.t.Error(err)
				}
			})
		}
		all.Wait()
		given += len(got)
	}
}

func TestAThousandDeadLettersAreOneMailAndOneWebhook(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo)
	const letters = 1000
	d.letters(letters)
	for range 3 {
		d.must(d.office.Tell(t.Context()))
		d.must(d.office.Post(t.Context()))
		d.clock.advance(time.Hour)
	}
	mails, hooks := d.box.sent(), rc.got()
	if len(mails) != 1 || len(hooks) != 1 {
		t.Fatalf("%d mails and %d webhooks, want one of each", len(mails), len(hooks))
	}
	if want := "restock: 1000 dead letters in stock-queue-dlq"; mails[0].Subject != want {
		t.Errorf("subject %q, want %q", mails[0].Subject, want)
	}
	const want = `* 1000 dead letters in stock-queue-dlq
  stock-queue-dlq: stock.low: it cannot be read
  the last one is shown, the oldest is since 2026-03-01 09:30:00 KST
  look: restock dead list --queue stock-queue --type stock.low

— restock
`
	if diff := cmp.Diff(want, mails[0].Text); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	data := hooks[0].Data
	if data.Total != letters || len(data.Problems) != 1 || data.Problems[0].Count != letters || data.Problems[0].Subject != restock.StockQueue {
		t.Errorf("webhook %+v", data)
	}
}

func TestADeadLetterOfTheOpsQueueIsToldByWebhookAlone(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo)
	d.refused()
	d.die(restock.OpsQueue)
	d.must(d.office.Tell(t.Context()))
	d.must(d.office.Post(t.Context()))
	if mails := d.box.sent(); len(mails) != 1 || strings.Contains(mails[0].Text, "dead letter") {
		t.Errorf("mails %+v, want one of the order", mails)
	}
	if hooks := rc.got(); len(hooks) != 1 || hooks[0].Data.Total != 2 || hooks[0].Data.Problems[0].Title != "dead letter CP-1" {
		t.Errorf("webhooks %+v, want one of the order and the dead letter", hooks)
	}
}

// TestAReceiverThatHangsHoldsNoMailBack runs both loops.
func TestAReceiverThatHangsHoldsNoMailBack(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo, func(cfg *ops.Config) { cfg.AlertInterval = time.Millisecond })
	hanging, over := make(chan struct{}), make(chan struct{})
	heard := sync.OnceFunc(func() { close(hanging) })
	rc.answers(func(_ http.ResponseWriter, r *http.Request) {
		heard()
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	var loops sync.WaitGroup
	d.problem(1, "body")
	loops.Go(func() { d.must(d.office.RunWebhook(ctx)) })
	<-hanging
	sent := make(chan struct{})
	d.box.notify(sent)
	loops.Go(func() { d.must(d.office.RunAlerts(ctx)) })
	<-sent
	stop(errors.New("the end of the test"))
	close(over)
	loops.Wait()
	if n := len(rc.got()); n != 0 {
		t.Errorf("%d webhooks were taken by a receiver that hangs", n)
	}
}

func TestWithoutAWebhookNothingIsPosted(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.problem(1, "body")
	d.must(d.office.Post(t.Context()))
	d.must(d.office.RunWebhook(t.Context()))
	d.must(d.office.Tell(t.Context()))
	if got := read[ops.StatusReport](d, "/v1/status"); got.WebhooksWaiting != 0 {
		t.Errorf("%d webhooks wait", got.WebhooksWaiting)
	}
}
