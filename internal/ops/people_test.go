package ops_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

// kitchen is the room that orders, as the office sees it.
type kitchen struct {
	asked restock.ManualOrder
	key   restock.Key
	no    bool
}

func (k *kitchen) OrderByHand(_ context.Context, m restock.ManualOrder, key restock.Key) (restock.Decision, error) {
	k.asked, k.key = m, key
	return restock.Decision{SKU: "CP-1", Order: !k.no, Quantity: m.Quantity, Reason: "the kitchen says so"}, nil
}

func (*kitchen) Preview(context.Context, restock.ListQuery) ([]restock.PlannedOrder, string, error) {
	return []restock.PlannedOrder{{Decision: restock.Decision{SKU: "CP-1", Quantity: 10}, Cost: 70, Currency: "KRW"}}, "next", nil
}

func (*kitchen) AttemptAt(callbackURL string) (restock.OrderID, int, bool) {
	return restock.OrderID{7}, 3, callbackURL == "ours"
}

func (*kitchen) Window(restock.Factory) time.Duration { return time.Hour }

// staffed is a desk whose office can order too.
func staffed(t *testing.T) (*desk, *kitchen) {
	t.Helper()
	d, k := open(t), &kitchen{}
	d.office = ops.New(officeStore{d.store}, d.store.Queue(), d.box, ops.Config{
		Orderer: k, Token: token, From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example", Now: d.clock.now,
	})
	d.mux = http.NewServeMux()
	d.office.Register(d.mux)
	return d, k
}

// awaiting plans an order that awaits approval.
func (d *desk) awaiting() restock.OrderID {
	d.t.Helper()
	p, err := d.store.Product(d.t.Context(), "CP-1")
	d.must(err)
	decision, err := d.store.Plan(d.t.Context(), p.ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Approval: true, Reason: "a test"}
	})
	d.must(err)
	return decision.OrderID
}

func (d *desk) audit() []restock.AuditEntry {
	d.t.Helper()
	return read[web.List[restock.AuditEntry]](d, "/v1/audit").Items
}

func TestEveryActionNeedsAReasonAndKeepsWhoDidIt(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	id := d.awaiting().String()
	receipt := d.problem(1, "body").ID.String()
	paths := []string{
		"/v1/replenishment-orders", "/v1/replenishment-orders/" + id + "/approve", "/v1/replenishment-orders/" + id + "/reject",
		"/v1/replenishment-orders/" + id + "/retry", "/v1/replenishment-orders/" + id + "/wait", "/v1/replenishment-orders/" + id + "/write-off",
		"/v1/receipts", "/v1/receipts/" + receipt + "/approve", "/v1/receipts/" + receipt + "/refuse",
		"/v1/ordering/pause", "/v1/ordering/resume", "/v1/products/donut/snooze", "/v1/reconciliations",
	}
	for _, path := range paths {
		for _, body := range []string{
			``, `{`, `[]`, `{}`, `{"by":"kim"}`, `{"reason":7}`, `{"reason":" \n"}`,
			fmt.Sprintf(`{"reason":%q}`, strings.Repeat("x", restock.ReasonBytesMax+1)),
			fmt.Sprintf(`{"reason":"x","by":%q}`, strings.Repeat("x", restock.ActWordsMax+1)),
		} {
			d.wantProblem(d.do(http.MethodPost, path, body), http.StatusBadRequest, restock.CodeInvalid)
		}
		d.wantProblem(d.doAs("", http.MethodPost, path, `{"reason":"x"}`), http.StatusUnauthorized, restock.CodeUnauthorized)
	}
	if got := d.audit(); len(got) != 0 {
		t.Errorf("audit %+v, want nothing", got)
	}
	if w := d.do(http.MethodPost, "/v1/replenishment-orders/"+id+"/approve", `{"reason":"cheap"}`); w.Code != http.StatusOK ||
		!strings.Contains(w.Body.String(), `"state":"planned"`) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	got := d.audit()
	if len(got) != 1 || got[0].Actor != "operator" || got[0].Reason != "cheap" || got[0].Subject != id {
		t.Errorf("audit %+v", got)
	}
}

func TestActionsOnWhatIsNotThereSaySo(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	const none = "00000000-0000-7000-8000-000000000001"
	for _, action := range []string{"approve", "reject", "retry", "write-off"} {
		d.wantProblem(d.do(http.MethodPost, "/v1/replenishment-orders/"+none+"/"+action, `{"reason":"x"}`), http.StatusNotFound, restock.CodeNotFound)
		d.wantProblem(d.do(http.MethodPost, "/v1/replenishment-orders/donut/"+action, `{"reason":"x"}`), http.StatusBadRequest, restock.CodeInvalid)
	}
	d.wantProblem(d.do(http.MethodPost, "/v1/receipts/"+none+"/refuse", `{"reason":"x"}`), http.StatusNotFound, restock.CodeNotFound)
	d.wantProblem(d.do(http.MethodPost, "/v1/products/cake/snooze", `{"reason":"x"}`), http.StatusNotFound, restock.CodeUnknownProduct)
	d.wantProblem(d.do(http.MethodPost, "/v1/ordering/pause", `{"reason":"x","factory":"FF-9"}`), http.StatusNotFound, restock.CodeNotFound)
	d.wantProblem(d.do(http.MethodPost, "/v1/receipts", `{"reason":"x","order_id":"`+none+`","count":1}`), http.StatusNotFound, restock.CodeNotFound)
}

func TestAnOrderIsHeldAndWaitsOrEnds(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	path := "/v1/replenishment-orders/" + d.refused().String()
	d.wantProblem(d.do(http.MethodPost, path+"/approve", `{"reason":"x"}`), http.StatusConflict, restock.CodeConflict)
	until := d.clock.now().Add(time.Hour).Format(time.RFC3339)
	for action, want := range map[string]string{
		`/wait {"reason":"x","until":"` + until + `"}`: `"state":"overdue"`,
	} {
		name, body, _ := strings.Cut(action, " ")
		if w := d.do(http.MethodPost, path+name, body); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: answered %d %s, want %s", name, w.Code, w.Body, want)
		}
	}
	if w := d.do(http.MethodPost, path+"/write-off", `{"reason":"x"}`); w.Code != http.StatusOK ||
		!strings.Contains(w.Body.String(), `"state":"closed_short"`) {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if got := d.audit(); len(got) != 2 {
		t.Errorf("audit %+v, want two entries", got)
	}
}

func TestARejectionCanSnoozeItsProduct(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	until := d.clock.now().Add(24 * time.Hour)
	w := d.do(http.MethodPost, "/v1/replenishment-orders/"+d.awaiting().String()+"/reject",
		`{"reason":"no","by":"kim","snooze_until":"`+until.Format(time.RFC3339)+`"}`)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "rejected by kim: no") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if p := read[restock.Product](d, "/v1/products/donut"); !p.SnoozedUntil.Equal(until) {
		t.Errorf("snoozed until %v, want %v", p.SnoozedUntil, until)
	}
	if w := d.do(http.MethodPost, "/v1/products/donut/snooze", `{"reason":"go on"}`); w.Code != http.StatusOK {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if p := read[restock.Product](d, "/v1/products/donut"); !p.SnoozedUntil.IsZero() {
		t.Errorf("snoozed until %v, want that it is awake", p.SnoozedUntil)
	}
}

func TestAnOrderByHandIsMadeOnceForAKey(t *testing.T) {
	t.Parallel()
	d, k := staffed(t)
	w := d.do(http.MethodPost, "/v1/replenishment-orders", `{"sku":"donut","quantity":7,"reason":"a fair","by":"kim"}`, "Idempotency-Key", "one")
	if w.Code != http.StatusCreated {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	want := restock.ManualOrder{Product: "donut", Quantity: 7, By: "kim", Reason: "a fair"}
	if diff := cmp.Diff(want, k.asked); diff != "" || k.key.Name != "POST /v1/replenishment-orders one" {
		t.Errorf("asked with the key %q (-want +got):\n%s", k.key.Name, diff)
	}
	k.no = true
	d.wantProblem(d.do(http.MethodPost, "/v1/replenishment-orders", `{"sku":"donut","reason":"a fair"}`), http.StatusConflict, restock.CodeConflict)
	for _, body := range []string{`{"reason":"x"}`, `{"reason":"x","sku":"donut","quantity":-1}`, `{"reason":"x","sku":"donut","quantity":1000000000}`} {
		d.wantProblem(d.do(http.MethodPost, "/v1/replenishment-orders", body), http.StatusBadRequest, restock.CodeInvalid)
	}
	plan := read[web.List[restock.PlannedOrder]](d, "/v1/replenishment-plan")
	if len(plan.Items) != 1 || plan.Items[0].Cost != 70 || plan.Next != "next" {
		t.Errorf("plan %+v", plan)
	}
}

func TestAProcessThatDoesNotOrderSaysSo(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.wantProblem(d.do(http.MethodGet, "/v1/replenishment-plan", ""), http.StatusServiceUnavailable, restock.CodeUnavailable)
	d.wantProblem(d.do(http.MethodPost, "/v1/replenishment-orders", `{"reason":"x","sku":"donut"}`), http.StatusServiceUnavailable, restock.CodeUnavailable)
}

func TestReceiptsAreApprovedRefusedAndBooked(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	approve, refuse := d.problem(1, "one").ID.String(), d.problem(2, "two").ID.String()
	d.wantProblem(d.do(http.MethodPost, "/v1/receipts/"+approve+"/approve", `{"reason":"x"}`), http.StatusBadRequest, restock.CodeInvalid)
	for path, want := range map[string]string{
		"/v1/receipts/" + approve + `/approve {"reason":"x","product":"donut","count":4}`: `"applied":4,"held":0,"refused":6`,
		"/v1/receipts/" + refuse + `/refuse {"reason":"x"}`:                               `"state":"refused"`,
	} {
		path, body, _ := strings.Cut(path, " ")
		if w := d.do(http.MethodPost, path, body); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: answered %d %s, want %s", path, w.Code, w.Body, want)
		}
	}
	order := d.refused().String()
	book := `{"reason":"by lorry","order_id":"` + order + `","count":3}`
	for range 2 {
		w := d.do(http.MethodPost, "/v1/receipts", book, "Idempotency-Key", "one")
		if w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), `"applied":3`) {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	d.wantProblem(d.do(http.MethodPost, "/v1/receipts", strings.Replace(book, `"count":3`, `"count":8`, 1)), http.StatusConflict, restock.CodeConflict)
	if p := read[restock.Product](d, "/v1/products/donut"); p.Stock.OnHand != 30+4+3 {
		t.Errorf("%d on hand, want 37", p.Stock.OnHand)
	}
}

func TestOrderingIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	for _, step := range []struct{ action, body, paused, factory string }{
		{"pause", `{"reason":"no money"}`, "no money", ""},
		{"pause", `{"reason":"they move","factory":"FF-1"}`, "no money", "they move"},
		{"resume", `{"reason":"money"}`, "", "they move"},
		{"resume", `{"reason":"moved","factory":"FF-1"}`, "", ""},
	} {
		if w := d.do(http.MethodPost, "/v1/ordering/"+step.action, step.body); w.Code != http.StatusOK {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		if got := read[restock.OrderingSwitch](d, "/v1/ordering"); got.Paused != step.paused {
			t.Errorf("after %s %s: paused because %q", step.action, step.body, got.Paused)
		}
		if got := read[web.List[restock.FactoryLoad]](d, "/v1/factories").Items; len(got) != 1 || got[0].Paused != step.factory {
			t.Errorf("after %s %s: factories %+v", step.action, step.body, got)
		}
	}
}

func TestAReconciliationIsAnsweredLineByLine(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	body := fmt.Sprintf(`{"reason":"their list","factory":"FF-1","rows":[{"order_id":%q,"attempt":1,"status":"accepted"}]}`, d.refused())
	w := d.do(http.MethodPost, "/v1/reconciliations", body)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"unchanged":1`) || !strings.Contains(w.Body.String(), "the attempt is rejected") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	w = d.do(http.MethodPost, "/v1/reconciliations", `{"reason":"x","factory":"FF-1","rows":[
		{"callback_url":"ours","status":"absent"},{"callback_url":"a stranger's","status":"absent"}]}`)
	for _, want := range []string{`"attempt":3,"status":"absent","line":1,"changed":false,"result":"there is no such attempt"`, "is none of ours"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("answered %d %s, want %s", w.Code, w.Body, want)
		}
	}
	d.wantProblem(d.do(http.MethodPost, "/v1/reconciliations", `{"reason":"x","factory":"FF-1","rows":[]}`), http.StatusBadRequest, restock.CodeInvalid)
}

// pickyBox refuses mails to one address.
type pickyBox struct {
	*outbox
	refused string
}

func (b pickyBox) Send(ctx context.Context, m mail.Message) error {
	if m.To == b.refused {
		return errors.New("no such mailbox")
	}
	return b.outbox.Send(ctx, m)
}

func TestTheBuyerAndOperationsAreToldEachForThemselves(t *testing.T) {
	t.Parallel()
	d, _ := staffed(t)
	c := restock.Catalog{BuyerEmail: "buyer@donut.example"}
	c.Fill()
	_, err := d.store.ApplyCatalog(t.Context(), c, store.CreateAndEdit)
	d.must(err)
	id := d.awaiting().String()
	d.problem(1, "body")
	for _, refused := range []string{"buyer@donut.example", "ops@donut.example"} {
		office := ops.New(officeStore{d.store}, d.store.Queue(), pickyBox{d.box, refused}, ops.Config{
			From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example", Now: d.clock.now,
		})
		if err := office.Tell(t.Context()); refused == "buyer@donut.example" && (err == nil || !strings.Contains(err.Error(), refused)) {
			t.Errorf("error %v, want who was not reached", err)
		}
	}
	mails := d.box.sent()
	if len(mails) != 2 || mails[0].To != "ops@donut.example" || mails[1].To != "buyer@donut.example" || mails[0].ID == mails[1].ID {
		t.Fatalf("mails %+v, want one to each", mails)
	}
	for _, want := range []string{"restock orders approve " + id + " --reason …", "restock orders reject " + id, "10 × 부산도너츠 for 0 KRW"} {
		if !strings.Contains(mails[1].Text, want) {
			t.Errorf("the buyer is not told %q:\n%s", want, mails[1].Text)
		}
	}
	if strings.Contains(mails[0].Text, id) {
		t.Errorf("operations hear of the buyer's order:\n%s", mails[0].Text)
	}
	d.clock.advance(restock.ToldAgainAfter)
	d.must(d.office.Tell(t.Context()))
	if again := d.box.sent(); len(again) != 4 || again[2].ID == mails[0].ID || again[3].ID == mails[1].ID {
		t.Errorf("mails %+v, want two more on the next day", again)
	}
}
