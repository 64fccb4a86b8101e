package ops_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

func TestADeadLetterIsShownRedrivenOnceAndDiscardedWithAReason(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30)
	id := d.die(restock.StockQueue)
	path := "/v1/dead-letters/" + id.String()
	letter := read[restock.DeadLetter](d, path)
	if letter.Type != "stock.low" || letter.DeadLetterQueue != "stock-queue-dlq" || letter.LastError != "it cannot be read" || len(letter.Body) == 0 {
		t.Errorf("letter %+v", letter)
	}
	want := restock.NeedVerdict{Needed: restock.NeedNeeded, Reason: "the position 0 is at or below the reorder point 0"}
	if letter.Verdict != want || letter.SKU != "CP-1" || letter.Product != "부산도너츠" || letter.LastFailedAt.IsZero() {
		t.Errorf("letter %+v, want it about CP-1 and %+v", letter, want)
	}
	if got := read[web.List[restock.DeadLetter]](d, "/v1/dead-letters?queue=ad-queue"); len(got.Items) != 0 {
		t.Errorf("another queue has %d", len(got.Items))
	}
	if w := d.do(http.MethodPost, path+"/redrive", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "redriven") {
		t.Errorf("redriven: %d %s", w.Code, w.Body)
	}
	d.wantProblem(d.do(http.MethodPost, path+"/redrive", ""), http.StatusConflict, restock.CodeConflict)
	d.wantProblem(d.do(http.MethodPost, path+"/discard", `{"reason":"x"}`), http.StatusConflict, restock.CodeConflict)
	if again := d.die(restock.StockQueue); again != id {
		t.Errorf("message %s came again as %s", id, again)
	}
	for body, status := range map[string]int{
		"": http.StatusBadRequest, `{"reason":""}`: http.StatusBadRequest, "x": http.StatusBadRequest, `[1]`: http.StatusBadRequest,
		`{"reason":"` + strings.Repeat("x", 2000) + `"}`: http.StatusBadRequest, strings.Repeat("x", 100_000): http.StatusRequestEntityTooLarge,
	} {
		code := restock.CodeInvalid
		if status == http.StatusRequestEntityTooLarge {
			code = restock.CodeTooLarge
		}
		d.wantProblem(d.do(http.MethodPost, path+"/discard", body), status, code)
	}
	// As curl -d sends it.
	w := d.do(http.MethodPost, path+"/discard?queue=stock-queue", `{"reason":"written off"}`, "Content-Type", "application/x-www-form-urlencoded")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "discarded") {
		t.Errorf("discarded: %d %s", w.Code, w.Body)
	}
	d.wantProblem(d.do(http.MethodPost, path+"/redrive", ""), http.StatusConflict, restock.CodeConflict)
}

// low adds products that are low from the start, and gives up their messages.
func (d *desk) low(n int) []restock.EventID {
	d.t.Helper()
	c := restock.Catalog{}
	for i := range n {
		c.Products = append(c.Products, restock.CatalogProduct{SKU: restock.SKU(fmt.Sprintf("LOW-%03d", i)), Factory: "FF-1", OrderQuantity: 10})
	}
	c.Fill()
	_, err := d.store.ApplyCatalog(d.t.Context(), c, store.CreateMissing)
	d.must(err)
	return d.dieAll(restock.StockQueue)
}

// dieAll gives up all messages of a queue.
func (d *desk) dieAll(name string) []restock.EventID {
	d.t.Helper()
	var ids []restock.EventID
	for {
		got, err := d.store.Queue().Receive(d.t.Context(), name, driver.Request{Max: 100, Visibility: time.Minute})
		d.must(err)
		if len(got) == 0 {
			return ids
		}
		for _, m := range got {
			d.must(d.store.Queue().Dead(d.t.Context(), m, "it cannot be read"))
			ids = append(ids, restock.EventID(m.ID))
		}
	}
}

// order has a product ordered, so that its letter is stale.
func (d *desk) order(sku string) {
	d.t.Helper()
	p, err := d.store.Product(d.t.Context(), sku)
	d.must(err)
	decision, err := d.store.Plan(d.t.Context(), p.ID, replenish.Decide)
	d.must(err)
	if !decision.Order {
		d.t.Fatalf("%s is not ordered: %s", sku, decision.Reason)
	}
}

// settle sends a selection and reads what came of it.
func (d *desk) settle(action, body string) ops.DeskSlice {
	d.t.Helper()
	w := d.do(http.MethodPost, "/v1/dead-letters/"+action, body)
	var slice ops.DeskSlice
	if err := json.Unmarshal(w.Body.Bytes(), &slice); err != nil || w.Code != http.StatusOK {
		d.t.Fatalf("%s %s: %d %s, %v", action, body, w.Code, w.Body, err)
	}
	return slice
}

// walk works a selection off, slice by slice, and gives how many were redriven
// and skipped.
func (d *desk) walk(body string, between func()) (redriven, skipped int) {
	d.t.Helper()
	after := ""
	for {
		slice := d.settle("redrive", strings.TrimSuffix(body, "}")+`,"after":"`+after+`"}`)
		redriven += slice.Redriven
		skipped += len(slice.Skipped)
		if slice.Next == "" {
			return redriven, skipped
		}
		after = slice.Next
		between()
	}
}

// wantQueue compares how many messages of the stock queue wait and are dead.
func (d *desk) wantQueue(waiting, dead int64) {
	d.t.Helper()
	stats, err := d.store.Queue().Stats(d.t.Context())
	d.must(err)
	for _, s := range stats {
		if s.Queue == restock.StockQueue && (s.Waiting != waiting || s.Dead != dead || s.Missing() != 0) {
			d.t.Errorf("%d wait, %d are dead and %d missing, want %d, %d and none", s.Waiting, s.Dead, s.Missing(), waiting, dead)
		}
	}
}

func TestTheDeskRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30)
	id := d.die(restock.StockQueue).String()
	for _, query := range []string{"queue=lost", "needed=maybe", "error=" + strings.Repeat("x", 201), "after=cake", "limit=0"} {
		d.wantProblem(d.do(http.MethodGet, "/v1/dead-letters?"+query, ""), http.StatusBadRequest, restock.CodeInvalid)
	}
	d.wantProblem(d.do(http.MethodGet, "/v1/dead-letters?product=cake", ""), http.StatusNotFound, restock.CodeUnknownProduct)
	ids := strings.TrimSuffix(strings.Repeat(`"`+id+`",`, ops.DeskSliceMax+1), ",")
	for _, members := range []string{
		``, `"typ":"stock.low"`, `"all":"yes"`, `"all":true,"queue":"lost"`, `"all":true,"needed":"maybe"`, `"all":true,"limit":51`,
		`"all":true,"limit":-1`, `"all":true,"after":"cake"`, `"all":true,"after":"1.cake"`, `"all":true,"by":"` + strings.Repeat("x", 201) + `"`,
		`"ids":["cake"]`, `"ids":[""]`, `"ids":["` + id + `"],"all":true`, `"ids":["` + id + `"],"type":"stock.low"`, `"ids":[` + ids + `]`,
		`"ids":["` + id + `"],"after":"x"`, `"error":"` + strings.Repeat("x", 201) + `"`,
	} {
		for _, action := range []string{"redrive", "discard"} {
			w := d.do(http.MethodPost, "/v1/dead-letters/"+action, strings.Replace(`{"reason":"x",`+members+`}`, ",}", "}", 1))
			d.wantProblem(w, http.StatusBadRequest, restock.CodeInvalid)
			if t.Failed() {
				t.Fatalf("%s %s", action, members)
			}
		}
	}
	for _, body := range []string{`{"all":true}`, `{"all":true,"reason":" "}`, `{"all":true,"reason":"x","stale":true}`, ``, `[]`, `{"all":true,"reason":"x"}{}`} {
		d.wantProblem(d.do(http.MethodPost, "/v1/dead-letters/discard", body), http.StatusBadRequest, restock.CodeInvalid)
	}
	d.wantProblem(d.do(http.MethodPost, "/v1/dead-letters/redrive", `{"sku":"cake"}`), http.StatusNotFound, restock.CodeUnknownProduct)
	d.wantProblem(d.do(http.MethodPost, "/v1/dead-letters/"+id+"/redrive", `{"reasons":"x"}`), http.StatusBadRequest, restock.CodeInvalid)
	d.wantQueue(0, 1)
	if got := d.audit(); len(got) != 0 {
		t.Errorf("audit %+v, want nothing", got)
	}
}

func TestLettersAreListedBySelection(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.low(3)
	d.order("LOW-001")
	for query, want := range map[string]int{
		"": 3, "queue=stock-queue": 3, "queue=ad-queue": 0, "type=stock.low": 3, "type=stock.out": 0, "product=low-002": 1,
		"needed=needed": 2, "needed=stale": 1, "needed=unknown": 0, "error=CANNOT+be": 3, "error=cake": 0, "needed=stale&product=LOW-002": 0,
	} {
		if got := read[web.List[restock.DeadLetter]](d, "/v1/dead-letters?"+query); len(got.Items) != want {
			t.Errorf("%q selects %d, want %d", query, len(got.Items), want)
		}
	}
}

func TestRedrivingAllSkipsTheStale(t *testing.T) {
	t.Parallel()
	d := open(t)
	ids := d.low(3)
	d.order("LOW-001")
	would := d.settle("redrive", `{"all":true,"dry_run":true}`)
	d.wantQueue(0, 3)
	got := d.settle("redrive", `{"all":true,"reason":"mended","by":"kim"}`)
	want := ops.DeskSlice{Redriven: 2, Skipped: got.Skipped}
	if diff := cmp.Diff(want, got); diff != "" || len(got.Skipped) != 1 {
		t.Fatalf("redriven (-want +got):\n%s", diff)
	}
	if s := got.Skipped[0]; s.SKU != "LOW-001" || s.Queue != restock.StockQueue || !strings.Contains(s.Reason, "stale: no order because") {
		t.Errorf("skipped %+v, want LOW-001 and why", s)
	}
	want.DryRun = true
	if diff := cmp.Diff(want, would); diff != "" {
		t.Errorf("a dry run tells (-done +told):\n%s", diff)
	}
	d.wantQueue(2, 1)
	audit := d.audit()
	if len(audit) != 2 || audit[0].Action != "dead.redrive" || audit[0].Actor != "kim" || audit[0].Reason != "mended" || audit[0].SKU == "" {
		t.Errorf("audit %+v", audit)
	}
	// One that is named is stale all the same.
	stale := got.Skipped[0].MessageID.String()
	w := d.do(http.MethodPost, "/v1/dead-letters/"+stale+"/redrive", `{"reason":"x"}`)
	if d.wantProblem(w, http.StatusConflict, restock.CodeConflict); !strings.Contains(w.Body.String(), "is open") || !strings.Contains(w.Body.String(), "--include-stale") {
		t.Errorf("refused with %s, want why, and how all the same", w.Body)
	}
	named := d.settle("redrive", `{"ids":["`+stale+`","`+ids[0].String()+`","`+unknown+`"]}`)
	if named.Redriven != 0 || len(named.Skipped) != 3 {
		t.Errorf("named %+v, want all skipped", named)
	}
	if again := d.settle("redrive", `{"ids":["`+stale+`"],"queue":"stock-queue","stale":true}`); again.Redriven != 1 || len(again.Skipped) != 0 {
		t.Errorf("redriven though stale: %+v", again)
	}
	d.wantQueue(3, 0)
	if none := d.settle("redrive", `{"all":true}`); none.Redriven != 0 || none.Next != "" {
		t.Errorf("of none: %+v", none)
	}
}

func TestDiscardingASelectionKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	d := open(t)
	ids := d.low(4)
	d.order("LOW-001")
	got := d.settle("discard", `{"queue":"stock-queue","reason":"ordered by hand"}`)
	if got.Discarded != 1 || len(got.Skipped) != 3 || !strings.HasPrefix(got.Skipped[0].Reason, "needed: ") {
		t.Errorf("discarded %+v, want the stale one", got)
	}
	for _, l := range read[web.List[restock.DeadLetter]](d, "/v1/dead-letters").Items {
		if l.SKU == "LOW-001" {
			t.Error("the stale letter is still there")
		}
	}
	left := read[web.List[restock.DeadLetter]](d, "/v1/dead-letters").Items[0].MessageID
	if got := d.settle("discard", `{"ids":["`+left.String()+`"],"reason":"by telephone"}`); got.Discarded != 1 {
		t.Errorf("named: %+v, want it discarded", got)
	}
	if got := d.settle("discard", `{"type":"stock.low","include_needed":true,"reason":"we close"}`); got.Discarded != 2 {
		t.Errorf("with the needed: %+v, want both", got)
	}
	if got := d.audit(); len(got) != len(ids) || got[0].Action != "dead.discard" || got[0].Reason != "we close" || got[0].Actor != "operator" {
		t.Errorf("audit %+v", got)
	}
	d.wantQueue(0, 0)
}

// TestAWalkEndsThoughLettersDieAgain redrives everything while nothing is
// mended: each letter is redriven once.
func TestAWalkEndsThoughLettersDieAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	const many = 23
	d.low(many)
	redriven, skipped := d.walk(`{"all":true,"limit":5}`, func() {
		d.clock.advance(time.Second)
		d.dieAll(restock.StockQueue)
	})
	if redriven != many || skipped != 0 {
		t.Errorf("%d redriven and %d skipped, want %d and none", redriven, skipped, many)
	}
}

func TestAWalkThatWasStoppedIsBegunAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	const many = 23
	d.low(many)
	d.order("LOW-000")
	d.order("LOW-001")
	first := d.settle("redrive", `{"all":true,"limit":9}`)
	if first.Redriven+len(first.Skipped) != 9 || first.Next == "" {
		t.Errorf("the first slice: %+v", first)
	}
	redriven, skipped := d.walk(`{"all":true,"limit":9}`, func() {})
	if first.Redriven+redriven != many-2 || skipped != 2 {
		t.Errorf("%d and %d redriven, %d skipped, want %d in all and 2", first.Redriven, redriven, skipped, many-2)
	}
	d.wantQueue(many-2, 2)
	if got := len(d.audit()); got != many-2 {
		t.Errorf("%d notes, want one of each letter", got)
	}
	// Each has its effect once, also those that come twice.
	handle := replenish.New(d.store, nil, replenish.Config{}).Handlers()["stock.low"]
	messages, err := d.store.Queue().Receive(t.Context(), restock.StockQueue, driver.Request{Max: many, Visibility: time.Minute})
	d.must(err)
	for _, m := range append(messages, messages...) {
		d.must(handle(t.Context(), m.Message))
	}
	orders, _, err := d.store.Orders(t.Context(), restock.ListQuery{Limit: 1000})
	d.must(err)
	if len(messages) != many-2 || len(orders) != many {
		t.Errorf("%d messages made %d orders, want one of each product", len(messages), len(orders))
	}
}

func TestTwoWalksAtOnceRedriveEachLetterOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	const many = 60
	d.low(many)
	var mu sync.Mutex
	var all sync.WaitGroup
	total := 0
	for range 2 {
		all.Go(func() {
			redriven, _ := d.walk(`{"all":true,"limit":7}`, func() {})
			mu.Lock()
			defer mu.Unlock()
			total += redriven
		})
	}
	all.Wait()
	d.wantQueue(many, 0)
	notes := map[string]int{}
	for _, e := range d.audit() {
		notes[e.Subject]++
	}
	if total != many || len(notes) != many {
		t.Errorf("%d redriven and %d letters noted, want %d of both", total, len(notes), many)
	}
	for id, n := range notes {
		if n != 1 {
			t.Errorf("letter %s was noted %d times", id, n)
		}
	}
}

// TestRedrivesAreLimitedOverAllCallers has a process that redrives next to
// nothing a second: after a first slice there is no more for anybody.
func TestRedrivesAreLimitedOverAllCallers(t *testing.T) {
	t.Parallel()
	d := open(t)
	ids := d.low(ops.DeskSliceMax + 5)
	d.mux = http.NewServeMux()
	ops.New(officeStore{d.store}, d.store.Queue(), d.box, ops.Config{Token: token, Decide: restock.Deciders{Order: replenish.Decide}, RedriveRate: 1e-6}).Register(d.mux)
	if got := d.settle("redrive", `{"all":true}`); got.Redriven != ops.DeskSliceMax {
		t.Errorf("the first slice: %+v", got)
	}
	for path, body := range map[string]string{"redrive": `{"all":true}`, ids[len(ids)-1].String() + "/redrive": ``} {
		w := d.do(http.MethodPost, "/v1/dead-letters/"+path, body)
		d.wantProblem(w, http.StatusTooManyRequests, restock.CodeRateLimited)
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: it is not said when to come again", path)
		}
	}
	d.wantQueue(ops.DeskSliceMax, 5)
	if got := d.settle("redrive", `{"all":true,"dry_run":true}`); got.Redriven != 5 {
		t.Errorf("a dry run: %+v, want 5", got)
	}
	if got := d.settle("discard", `{"all":true,"include_needed":true,"reason":"x"}`); got.Discarded != 5 {
		t.Errorf("discarded: %+v, want 5", got)
	}
}
