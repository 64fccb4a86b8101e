package sales

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"pgregory.net/rapid"
)

// TestSoldAnswerIsWhatJSONWouldWrite holds the answer that is put together by
// hand against encoding/json.
func TestSoldAnswerIsWhatJSONWouldWrite(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sale := restock.Sale{
			ID: restock.SaleID{1, 2, 3, 15: 9}, Reference: rapid.String().Draw(t, "reference"),
			Total: rapid.Int64().Draw(t, "total"), Currency: rapid.StringN(0, 4, 12).Draw(t, "currency"),
			SoldAt: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at")).UTC(),
		}
		for range rapid.IntRange(1, 4).Draw(t, "lines") {
			sale.Lines = append(sale.Lines, restock.SaleLine{
				SKU: restock.SKU(rapid.String().Draw(t, "sku")), Quantity: rapid.Int64().Draw(t, "quantity"),
				UnitPrice: rapid.Int64().Draw(t, "price"), Remaining: rapid.Int64().Draw(t, "remaining"),
			})
		}
		text, err := json.Marshal(sale)
		if err != nil {
			t.Fatal(err)
		}
		got := appendSold(nil, sale, restock.English)
		var want, have map[string]any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &have); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if have["message"] == nil {
			t.Error("no message")
		}
		delete(have, "message")
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("(-json +hand)\n%s", diff)
		}
	})
}
