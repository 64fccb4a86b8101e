package sales

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock/internal/store"
)

func yield() { runtime.Gosched() }

// front is a shop with its routes.
type front struct {
	t     *testing.T
	store *store.Store
	mux   *http.ServeMux
}

func openFront(t *testing.T, stock int64, cfg Config) *front {
	t.Helper()
	f := &front{t: t, store: openStore(t, stock), mux: http.NewServeMux()}
	shop := New(f.store, cfg)
	shop.Register(f.mux)
	working(t, shop.till)
	return f
}

func (f *front) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	return w
}

func (f *front) wantMessage(w *httptest.ResponseRecorder, status int, message string) {
	f.t.Helper()
	var got struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != status || got.Message != message {
		f.t.Errorf("answered %d %s, want %d %q", w.Code, w.Body, status, message)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		f.t.Errorf("Content-Type %q", got)
	}
}

func TestAProductPageSaysWhatIsAvailable(t *testing.T) {
	t.Parallel()
	f := openFront(t, 3, Config{})
	p, err := f.store.Product(t.Context(), "CP-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"donut", "CP-1", p.ID.String()} {
		w := f.do(http.MethodGet, "/product/"+name, "")
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		want := map[string]any{
			"product_id": p.ID.String(), "sku": "CP-1", "name": "부산도너츠", "price": 19900.0, "stock": 3.0, "currency": "KRW",
			"factory_id": "", "ad_id": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	f.wantMessage(f.do(http.MethodGet, "/product/nobody", ""), http.StatusBadRequest, "상품 없음")
	f.wantMessage(f.do(http.MethodGet, "/product/nobody", "", "Accept-Language", "en"), http.StatusBadRequest, "No such product")
}

func TestTheSeedsCheckout(t *testing.T) {
	t.Parallel()
	f := openFront(t, 3, Config{})
	f.wantMessage(f.do(http.MethodPost, "/checkout", ""), http.StatusOK, "구매 완료! 남은 재고: 2")
	f.wantMessage(f.do(http.MethodPost, "/checkout", `{"sku":"CP-1"}`, "Content-Type", "application/x-www-form-urlencoded"),
		http.StatusOK, "구매 완료! 남은 재고: 1")
	f.wantMessage(f.do(http.MethodPost, "/checkout", `{"sku":"donut","quantity":1}`, "Accept-Language", "en-GB"),
		http.StatusOK, "Purchase complete! Remaining stock: 0")
	f.wantMessage(f.do(http.MethodPost, "/checkout", ""), http.StatusConflict, "구매 실패! 남은 재고: 0")
	f.wantMessage(f.do(http.MethodPost, "/checkout", `{"sku":"NOBODY"}`), http.StatusBadRequest, "상품 없음")
	f.wantMessage(f.do(http.MethodPost, "/checkout", `{"quantity":0}`), http.StatusBadRequest, "잘못된 요청입니다")
	f.wantMessage(f.do(http.MethodPost, "/checkout", `{"quantity":101}`), http.StatusBadRequest, "잘못된 요청입니다")
	f.wantMessage(f.do(http.MethodPost, "/checkout", strings.Repeat(" ", checkoutBytesMax+1)), http.StatusRequestEntityTooLarge, "요청이 너무 큽니다")
}

func TestARefusalHasTheStatusThatOldClientsExpect(t *testing.T) {
	t.Parallel()
	f := openFront(t, 0, Config{RefusedStatus: http.StatusOK})
	w := f.do(http.MethodPost, "/checkout", "")
	f.wantMessage(w, http.StatusOK, "구매 실패! 남은 재고: 0")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"message": got["message"], "code": "out_of_stock", "sku": "CP-1", "remaining": 0.0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASaleIsAnsweredWhole(t *testing.T) {
	t.Parallel()
	f := openFront(t, 10, Config{})
	w := f.do(http.MethodPost, "/checkout", `{"items":[{"sku":"CP-1","quantity":2},{"sku":"donut","quantity":3}],"reference":"<order 7>"}`)
	f.wantMessage(w, http.StatusOK, "구매 완료! 남은 재고: 5")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	line := func(quantity float64) any {
		return map[string]any{"sku": "CP-1", "quantity": quantity, "unit_price": 19900.0, "remaining": 5.0}
	}
	want := map[string]any{
		"message": got["message"], "sale_id": got["sale_id"], "sold_at": got["sold_at"], "reference": "<order 7>",
		"items": []any{line(2), line(3)}, "total": 5 * 19900.0, "currency": "KRW",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTheLastUnitsAreSoldOnceOverHTTP is the buyers' race through all of the
// shop.
func TestTheLastUnitsAreSoldOnceOverHTTP(t *testing.T) {
	t.Parallel()
	const crowd, units = 500, 10
	f := openFront(t, units, Config{})
	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			w := f.do(http.MethodPost, "/checkout", "")
			mu.Lock()
			defer mu.Unlock()
			statuses[w.Code]++
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[int]int{http.StatusOK: units, http.StatusConflict: crowd - units}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestWithoutADatabaseNothingIsSoldAndTheBuyerIsAskedToComeAgain(t *testing.T) {
	t.Parallel()
	f := openFront(t, 3, Config{})
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*httptest.ResponseRecorder{f.do(http.MethodPost, "/checkout", ""), f.do(http.MethodGet, "/product/donut", "")} {
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("answered %d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if strings.Contains(w.Body.String(), "database is closed") {
			t.Errorf("the answer tells the cause: %s", w.Body)
		}
	}
}
