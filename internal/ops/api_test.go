package ops_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/web"
)

// unknown is the id of nothing.
const unknown = "0199abcd-0506-7008-090a-0b0c0d0e0fff"

func lists() []string {
	return []string{
		"/v1/products", "/v1/products/donut/decisions", "/v1/products/donut/movements", "/v1/decisions", "/v1/movements", "/v1/sales",
		"/v1/replenishment-orders", "/v1/receipts", "/v1/stockouts", "/v1/dead-letters",
	}
}

func TestWithoutTheTokenNothingIsShownOrDone(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30)
	dead := d.die(restock.StockQueue)
	requests := append(lists(), "/v1/status", "/v1/verify", "/v1/catalog", "/v1/products/donut", "/v1/sales/"+unknown, "/v1/nowhere", "/v1/")
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic " + token, token, "Bearer " + token + "x", "Bearer " + strings.ToUpper(token)} {
		for _, path := range requests {
			d.wantProblem(d.doAs(authorization, http.MethodGet, path, ""), http.StatusUnauthorized, restock.CodeUnauthorized)
		}
		for _, path := range []string{"/v1/catalog", "/v1/dead-letters/" + dead.String() + "/redrive", "/v1/dead-letters/" + dead.String() + "/discard", "/v1/dead-letters/redrive", "/v1/dead-letters/discard"} {
			w := d.doAs(authorization, http.MethodPost, path, `{"reason":"x"}`)
			d.wantProblem(w, http.StatusUnauthorized, restock.CodeUnauthorized)
			if w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(w.Body.String(), "It is in the data folder.") {
				t.Errorf("the refusal does not say how to come in: %v %s", w.Header(), w.Body)
			}
		}
	}
	if got := read[web.List[queue.DeadLetter]](d, "/v1/dead-letters"); len(got.Items) != 1 {
		t.Errorf("%d dead letters, want the one untouched", len(got.Items))
	}
}

func TestAnOfficeWithoutATokenIsShut(t *testing.T) {
	t.Parallel()
	d := open(t)
	mux := http.NewServeMux()
	ops.New(officeStore{d.store}, d.store.Queue(), d.box, ops.Config{}).Register(mux)
	for _, authorization := range []string{"", "Bearer ", "Bearer"} {
		r := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%q was answered %d", authorization, w.Code)
		}
	}
}

func TestWhatIsNotThereIsAProblemDocument(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, path := range []string{"/v1/sales/", "/v1/replenishment-orders/", "/v1/receipts/", "/v1/dead-letters/"} {
		d.wantProblem(d.do(http.MethodGet, path+unknown, ""), http.StatusNotFound, restock.CodeNotFound)
		d.wantProblem(d.do(http.MethodGet, path+"not-an-id", ""), http.StatusBadRequest, restock.CodeInvalid)
		d.wantProblem(d.do(http.MethodGet, path+"%27%20OR%201=1", ""), http.StatusBadRequest, restock.CodeInvalid)
	}
	d.wantProblem(d.do(http.MethodGet, "/v1/products/nobody", ""), http.StatusNotFound, restock.CodeUnknownProduct)
	d.wantProblem(d.do(http.MethodGet, "/v1/products/nobody/movements", ""), http.StatusNotFound, restock.CodeUnknownProduct)
	d.wantProblem(d.do(http.MethodGet, "/v1/nowhere", ""), http.StatusNotFound, restock.CodeNotFound)
	d.wantProblem(d.do(http.MethodDelete, "/v1/products/donut", ""), http.StatusNotFound, restock.CodeNotFound)
	for _, action := range []string{"redrive", "discard"} {
		d.wantProblem(d.do(http.MethodPost, "/v1/dead-letters/"+unknown+"/"+action, `{"reason":"x"}`), http.StatusNotFound, restock.CodeNotFound)
	}
}

func TestPagesAreBoundedAndWholeLists(t *testing.T) {
	t.Parallel()
	d := open(t)
	for range 5 {
		d.buy(1)
	}
	for _, path := range lists() {
		for _, limit := range []string{"0", "-1", "1001", "x", "1.5", "", "99999999999999999999"} {
			d.wantProblem(d.do(http.MethodGet, path+"?limit="+limit, ""), http.StatusBadRequest, restock.CodeInvalid)
		}
		d.wantProblem(d.do(http.MethodGet, path+"?after="+strings.Repeat("x", 1000), ""), http.StatusBadRequest, restock.CodeInvalid)
		if w := d.do(http.MethodGet, path, ""); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), `{"items":[`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	var ids []string
	for path := "/v1/sales?limit=2&reference=order+7"; ; {
		page := read[web.List[restock.Sale]](d, path)
		for _, s := range page.Items {
			ids = append(ids, s.ID.String())
		}
		if page.Next == "" {
			break
		}
		path = "/v1/sales?limit=2&after=" + page.Next
	}
	whole := read[web.List[restock.Sale]](d, "/v1/sales")
	if len(ids) != 5 || len(whole.Items) != 5 || ids[0] != whole.Items[0].ID.String() || ids[4] != whole.Items[4].ID.String() {
		t.Errorf("in pages %v, at once %d", ids, len(whole.Items))
	}
}

func TestAReceiptShowsItsEvidence(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.problem(1, `{"MessageAttributeProductCnt":"10","CallbackUrl":"https://shop.example/product/donut?token=***"}`)
	got := read[struct {
		restock.Receipt
		Body string `json:"body"`
	}](d, "/v1/receipts/"+r.ID.String())
	if got.State != restock.ReceiptHeld || got.Claimed != "10" || !strings.Contains(got.Body, "token=***") {
		t.Errorf("receipt %+v", got)
	}
	// What is no text does not break the answer.
	r = d.problem(2, "\xff\x00\"")
	if w := d.do(http.MethodGet, "/v1/receipts/"+r.ID.String(), ""); w.Code != http.StatusOK {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func TestAnOrderIsShownWithItsAttemptsAndReceipts(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := d.refused()
	got := read[restock.Order](d, "/v1/replenishment-orders/"+id.String())
	if got.State != restock.OrderHeld || len(got.Attempts) != 1 || got.Attempts[0].Status != http.StatusBadRequest || got.HeldReason == "" {
		t.Errorf("order %+v", got)
	}
	held := read[web.List[restock.Order]](d, "/v1/replenishment-orders?state=held&product=donut")
	none := read[web.List[restock.Order]](d, "/v1/replenishment-orders?state=accepted")
	if len(held.Items) != 1 || len(none.Items) != 0 {
		t.Errorf("%d held and %d accepted, want 1 and 0", len(held.Items), len(none.Items))
	}
}

func TestTheStatusShowsQueuesAndWhoReceivesMail(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30)
	d.die(restock.StockQueue)
	got := read[ops.StatusReport](d, "/v1/status")
	if got.Products != 1 || got.OutOfStock != 1 || got.Low != 1 || got.Mail != "nobody receives mail" || got.Version != "1.2.3" {
		t.Errorf("status %+v", got)
	}
	dead := map[string]int64{}
	for _, q := range got.Queues {
		dead[q.Queue] = q.Dead
		if q.Missing() != 0 {
			t.Errorf("%d messages of %s are nowhere", q.Missing(), q.Queue)
		}
	}
	if dead[restock.StockQueue] != 1 {
		t.Errorf("dead letters %v", dead)
	}
	checks := read[web.List[restock.Check]](d, "/v1/verify")
	if len(checks.Items) == 0 {
		t.Error("nothing is verified")
	}
	for _, c := range checks.Items {
		if c.Broken != 0 {
			t.Errorf("%s: %v", c.Name, c.Violations)
		}
	}
}

func TestTheCatalogueGoesOutAndInAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	out := d.do(http.MethodGet, "/v1/catalog", "")
	if out.Code != http.StatusOK || out.Header().Get("Content-Type") != "application/yaml" {
		t.Fatalf("%d %v", out.Code, out.Header())
	}
	apply := func(query, body string) []string {
		t.Helper()
		w := d.do(http.MethodPost, "/v1/catalog"+query, body)
		if w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var changes []string
		for line := range strings.SplitSeq(w.Body.String(), `{"kind":`) {
			if strings.HasPrefix(line, `"`) {
				changes = append(changes, strings.Trim(line, "]},\n"))
			}
		}
		return changes
	}
	if got := apply("", out.Body.String()); len(got) != 0 {
		t.Errorf("what came out changes %v", got)
	}
	dearer := strings.Replace(out.Body.String(), "price: 19900", "price: 21000", 1)
	told := apply("?dry_run=true", dearer)
	if diff := cmp.Diff([]string{`"product","name":"CP-1","field":"price","old":"19900","new":"21000"`}, told); diff != "" {
		t.Errorf("a dry run tells (-want +got):\n%s", diff)
	}
	if got := read[restock.Product](d, "/v1/products/donut").Price; got != 19900 {
		t.Errorf("after a dry run the price is %d", got)
	}
	if diff := cmp.Diff(told, apply("", dearer)); diff != "" {
		t.Errorf("done (-told +done):\n%s", diff)
	}
	if got := read[restock.Product](d, "/v1/products/donut").Price; got != 21000 {
		t.Errorf("the price is %d", got)
	}
	for _, bad := range []string{"products: 7", "product: []", "\t", "products:\n  - sku: A\n    colour: x", "products:\n  - sku: A\n    price: -1", "&a [*a]"} {
		d.wantProblem(d.do(http.MethodPost, "/v1/catalog", bad), http.StatusBadRequest, restock.CodeInvalid)
	}
}

func TestWithoutADatabaseTheAPISaysToComeAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.must(d.store.Close())
	for _, path := range append(lists(), "/v1/status", "/v1/verify", "/v1/catalog", "/v1/products/donut", "/v1/sales/"+unknown) {
		w := d.do(http.MethodGet, path, "")
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s, want 503", path, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "sql:") {
			t.Errorf("%s tells the cause: %s", path, w.Body)
		}
	}
}

func TestLongListsArePagedByDefault(t *testing.T) {
	t.Parallel()
	d := open(t)
	for n := range web.PageLimitDefault + 1 {
		d.problem(n, fmt.Sprint(n))
	}
	first := read[web.List[restock.Receipt]](d, "/v1/receipts")
	rest := read[web.List[restock.Receipt]](d, "/v1/receipts?after="+first.Next)
	if len(first.Items) != web.PageLimitDefault || len(rest.Items) != 1 || rest.Next != "" {
		t.Errorf("%d, then %d", len(first.Items), len(rest.Items))
	}
}
