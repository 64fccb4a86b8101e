package replenish

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
	"pgregory.net/rapid"
)

// vouched is evidence about a report that a factory's secret vouches for, of a
// product that it makes.
func vouched(count int64, edit func(*restock.UnsignedEvidence)) restock.UnsignedEvidence {
	f := restock.Factory{ID: restock.FactoryID{1}, Identifier: "FF-1", Repeats: restock.RepeatsHold}
	e := restock.UnsignedEvidence{
		Unsigned: restock.Unsigned{Callback: restock.Callback{Count: count, Product: "CP-1", Factory: "FF-1", Requester: "김재고"}},
		Factory:  f, Product: restock.Product{ID: restock.ProductID{2}, SKU: "CP-1", FactoryID: f.ID},
	}
	if edit != nil {
		edit(&e)
	}
	return e
}

// awaits makes an attempt of an open order that misses pieces.
func awaits(order byte, missing int64) restock.Evidence {
	return restock.Evidence{Order: restock.OrderAccepted, Attempt: restock.Attempt{
		OrderID: restock.OrderID{order}, Number: 1, Quantity: missing, State: restock.AttemptAccepted, SKU: "CP-1",
		Factory: restock.Factory{Identifier: "FF-1", Repeats: restock.RepeatsHold}, Requester: "김재고",
	}}
}

// TestWhatIsVouchedForIsAppliedWhereItCanBeTold goes down the table of
// docs/decisions/0027.
func TestWhatIsVouchedForIsAppliedWhereItCanBeTold(t *testing.T) {
	t.Parallel()
	applied, held := restock.ReceiptApplied, restock.ReceiptHeld
	type edit = func(*restock.UnsignedEvidence)
	awaited := func(orders ...restock.Evidence) edit { return func(e *restock.UnsignedEvidence) { e.Awaited = orders } }
	for _, c := range []struct {
		name   string
		edit   edit
		want   restock.Verdict
		order  byte
		reason string
	}{
		{"nobody vouches for it", func(e *restock.UnsignedEvidence) { e.Factory = restock.Factory{} }, restock.Verdict{State: held, Hold: 10}, 0, "nobody vouches"},
		{"the body names another factory", func(e *restock.UnsignedEvidence) { e.Unsigned.Factory = "FF-2" }, restock.Verdict{State: held, Hold: 10}, 0, `reports factory "FF-2"`},
		{"the body names the factory by its id", func(e *restock.UnsignedEvidence) {
			e.Unsigned.Factory = strings.ToUpper(e.Factory.ID.String())
		}, restock.Verdict{State: applied, Apply: 10}, 0, ""},
		{"no product is named", func(e *restock.UnsignedEvidence) {
			e.Unsigned.Product, e.Product = "", restock.Product{}
		}, restock.Verdict{State: held, Hold: 10}, 0, "names no product"},
		{"the product is unknown", func(e *restock.UnsignedEvidence) { e.Product = restock.Product{} }, restock.Verdict{State: held, Hold: 10}, 0, "not in the catalogue"},
		{"another factory makes the product", func(e *restock.UnsignedEvidence) {
			e.Product.FactoryID = restock.FactoryID{9}
		}, restock.Verdict{State: held, Hold: 10}, 0, "not made by"},
		{"there is no count", func(e *restock.UnsignedEvidence) {
			e.Unsigned.Count, e.Unsigned.Problem = 0, "the body is empty"
		}, restock.Verdict{State: held}, 0, "the body is empty"},
		{"more than any shelf has", func(e *restock.UnsignedEvidence) { e.Product.Stock.OnHand = restock.QuantityMax }, restock.Verdict{State: held, Hold: 10}, 0, "more than"},
		{"no order is open", nil, restock.Verdict{State: applied, Apply: 10}, 0, ""},
		{"it came before", func(e *restock.UnsignedEvidence) { e.Seen = true }, restock.Verdict{State: held, Hold: 10}, 0, "repeats: apply"},
		{"it came before, and each is a delivery", func(e *restock.UnsignedEvidence) {
			e.Seen, e.Factory.Repeats = true, restock.RepeatsApply
		}, restock.Verdict{State: applied, Apply: 10}, 0, ""},
		{"one order is open", awaited(awaits(7, 10)), restock.Verdict{State: applied, Apply: 10}, 7, ""},
		{"one order misses less", awaited(awaits(7, 4)), restock.Verdict{State: applied, Apply: 4, Hold: 6}, 7, "more than"},
		{"two attempts may be meant", awaited(awaits(7, 10), awaits(8, 10)), restock.Verdict{State: held, Hold: 10}, 0, "2 attempts"},
		{"the open order is of another requester", func(e *restock.UnsignedEvidence) {
			e.Unsigned.Requester, e.Awaited = "somebody else", []restock.Evidence{awaits(7, 10)}
		}, restock.Verdict{State: applied, Apply: 10}, 0, ""},
		{"one order is open, and it came before", func(e *restock.UnsignedEvidence) {
			e.Seen, e.Awaited = true, []restock.Evidence{awaits(7, 10)}
		}, restock.Verdict{State: held, Hold: 10}, 7, "came before"},
	} {
		got := JudgeUnsigned(vouched(10, c.edit))
		reason := got.Reason
		got.Reason = ""
		want := restock.UnsignedVerdict{Verdict: c.want}
		if c.order != 0 {
			want.OrderID, want.Attempt = restock.OrderID{c.order}, 1
		}
		if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(reason, c.reason) || (c.reason == "") != (reason == "") {
			t.Errorf("%s: reason %q (-want +got):\n%s", c.name, reason, diff)
		}
	}
}

// TestNoUnsignedReportIsAppliedForNothing draws evidence of any kind: all that is
// claimed is applied or held, and what is applied is vouched for, of a product of
// that factory, and within what its order misses.
func TestNoUnsignedReportIsAppliedForNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := vouched(rapid.Int64Range(0, restock.QuantityMax).Draw(t, "count"), nil)
		e.Seen = rapid.Bool().Draw(t, "seen")
		e.Factory.Repeats = rapid.SampledFrom([]restock.Repeats{restock.RepeatsHold, restock.RepeatsApply}).Draw(t, "repeats")
		e.Factory.ID[0] = byte(rapid.IntRange(0, 2).Draw(t, "factory"))
		e.Product.ID[0] = byte(rapid.IntRange(0, 1).Draw(t, "product"))
		e.Product.Stock.OnHand = rapid.Int64Range(0, restock.QuantityMax).Draw(t, "on hand")
		e.Unsigned.Requester = rapid.SampledFrom([]string{"", "김재고", "somebody else"}).Draw(t, "requester")
		for i := range rapid.IntRange(0, 3).Draw(t, "orders") {
			e.Awaited = append(e.Awaited, awaits(byte(i+1), rapid.Int64Range(1, 20).Draw(t, "missing")))
		}
		v := JudgeUnsigned(e)
		if v.Apply < 0 || v.Hold < 0 || v.Apply+v.Hold != e.Unsigned.Count {
			t.Fatalf("P5 of %d, %d are applied and %d held", e.Unsigned.Count, v.Apply, v.Hold)
		}
		if v.Apply == 0 {
			return
		}
		if e.Factory.ID.IsZero() || e.Product.ID.IsZero() || e.Product.FactoryID != e.Factory.ID {
			t.Fatalf("I10 applied without anybody who vouches for it: %+v", e)
		}
		if e.Seen && e.Factory.Repeats == restock.RepeatsHold {
			t.Fatalf("a repeat is applied by itself: %+v", e)
		}
		for _, of := range e.Awaited {
			if of.Attempt.OrderID == v.OrderID && v.Apply > of.Attempt.Quantity-of.Attempt.Received {
				t.Fatalf("I7 %d are applied to %+v", v.Apply, of.Attempt)
			}
		}
	})
}

// vouch gives the dock's factory a secret.
func (d *dock) vouch() string {
	d.t.Helper()
	text := restock.NewFactorySecret()
	proof, _ := restock.ProofOf(text)
	if _, err := d.AddFactorySecret(d.t.Context(), factoryID, proof, restock.Act{By: "kim", Reason: "they order there"}, restock.Key{}); err != nil {
		d.t.Fatal(err)
	}
	return text
}

// theirs is the body of an order of another system's worker, as the factory sends
// it back.
func theirs(count int, address string) string {
	return fmt.Sprintf(`{"MessageGroupId":"stock-arrival-group","MessageAttributeProductId":"CP-1","MessageAttributeProductCnt":"%d",`+
		`"MessageAttributeFactoryId":%q,"MessageAttributeRequester":"their worker","CallbackUrl":%q}`, count, factoryID, address)
}

// TestAStaticSecretIsFoundWhereverAnAddressCarriesIt, and never kept or logged.
func TestAStaticSecretIsFoundWhereverAnAddressCarriesIt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := newDock(t)
	d.replenisher = replenisher(d.watched, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	d.mux = http.NewServeMux()
	d.replenisher.Register(d.mux)
	d.mux.Handle("/", d.replenisher.Strays(http.HandlerFunc(web.SeedNotFound)))
	secret := d.vouch()
	stock := d.product("CP-1").Stock.OnHand
	for i, target := range []string{
		"/product/donut?token=" + secret, "/product/anything?TOKEN=" + strings.ToUpper(secret), "/stock-increase?x=1&token=" + secret,
		"/product/donut%3Ftoken%3D" + secret, "/PRODUCT/DONUT?TOKEN=" + strings.ToUpper(secret), "/product/donut",
	} {
		count := i + 1
		stock += int64(count)
		d.wantAnswer(d.post(target, theirs(count, "https://shop.example/product/donut?token="+secret)),
			answer{Message: fmt.Sprintf("입고 완료! 남은 재고: %d", stock), Result: "applied", Applied: int64(count)})
	}
	if got := d.product("CP-1").Stock; got.OnHand != stock || got.OnOrder != 10 {
		t.Errorf("stock %+v, want %d on hand, and the order of another requester still open", got, stock)
	}
	listed, _, err := d.Receipts(t.Context(), restock.ListQuery{Limit: 10})
	if err != nil || len(listed) != 6 {
		t.Fatalf("%d receipts, %v", len(listed), err)
	}
	for _, r := range listed {
		if _, body, err := d.Receipt(t.Context(), r.ID); err != nil || strings.Contains(strings.ToLower(string(body)), secret) || r.Factory != factoryID {
			t.Errorf("%+v with body %s, %v", r, body, err)
		}
	}
	if strings.Contains(strings.ToLower(log.String()), secret) || !strings.Contains(log.String(), "factory="+factoryID) {
		t.Errorf("I10 the log says\n%s", log.String())
	}
}

// TestWithoutATokenAndWithoutASecretAReportIsHeld, once a factory has a secret:
// before that nothing of it is kept.
func TestWithoutATokenAndWithoutASecretAReportIsHeld(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	if w := d.post("/product/donut", theirs(10, "")); w.Code != http.StatusUnauthorized {
		t.Errorf("before there is any secret: %d %s", w.Code, w.Body)
	}
	secret := d.vouch()
	wrong := restock.NewFactorySecret()
	for _, target := range []string{"/product/donut", "/product/bagel", "/product/donut?token=" + wrong, "/product/donut?token=" + secret[:31]} {
		d.wantAnswer(d.post(target, theirs(10, "")), answer{Message: "입고 보류! 담당자가 확인합니다.", Result: "held", Held: 10})
	}
	if w := d.post("/product/donut", strings.Repeat(" ", callbackBytesMax+1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too much of a stranger: %d", w.Code)
	}
	if w := d.post("/stock-increase?token="+wrong, theirs(10, "")); w.Code != http.StatusNotFound {
		t.Errorf("a stray of a stranger: %d", w.Code)
	}
	for range restock.UnvouchedMax - 4 {
		d.post("/product/donut", theirs(10, ""))
	}
	if w := d.post("/product/donut", theirs(10, "")); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("when there is no room: %d %v %s", w.Code, w.Header(), w.Body)
	}
	d.wantAnswer(d.post("/product/donut?token="+secret, theirs(10, "")), answer{Message: "입고 완료! 남은 재고: 20", Result: "applied", Applied: 10})
	if got := d.product("CP-1").Stock.OnHand; got != 20 {
		t.Errorf("%d on hand, want 20: ten were there, ten are vouched for", got)
	}
}
