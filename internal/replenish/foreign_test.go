package replenish

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
)

func fromOthers(t *testing.T, text string, attributes map[string]string) queue.Message {
	t.Helper()
	body, err := json.Marshal(map[string]any{"message": text, "attributes": attributes})
	if err != nil {
		t.Fatal(err)
	}
	return queue.Message{Type: "foreign", Body: body}
}

// TestAnExistingSalesFunctionIsUnderstood: free text, both spellings, SKU or UUID;
// and fifty buyers turned away make one order.
func TestAnExistingSalesFunctionIsUnderstood(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{"MessageAttributeProductId", "ProductId"} {
		for _, by := range []string{"SKU", "UUID"} {
			t.Run(spelling+" by "+by, func(t *testing.T) {
				t.Parallel()
				s := openStore(t, "http://127.0.0.1:4000/", nil)
				handle := replenisher(s, nil).Handlers()["foreign"]
				ref := map[string]string{"SKU": "CP-1", "UUID": s.product("CP-1").ID.String()}[by]
				m := fromOthers(t, "도너츠 재고가 없습니다. 2026-03-01 09:00:00", map[string]string{spelling: ref, "MessageAttributeFactoryId": factoryID})
				if err := handle(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				if got := s.product("CP-1").Stock.OnOrder; got != 0 {
					t.Errorf("%d on order for a full shelf", got)
				}
				s.buy(10)
				for range 50 {
					if err := handle(t.Context(), m); err != nil {
						t.Fatal(err)
					}
				}
				orders, _, err := s.Orders(t.Context(), restock.ListQuery{Limit: 100})
				if err != nil || len(orders) != 1 || orders[0].Quantity != 10 {
					t.Errorf("orders %+v, %v, want one of 10", orders, err)
				}
			})
		}
	}
}

func TestAMessageOfOthersThatNamesNothingIsADeadLetter(t *testing.T) {
	t.Parallel()
	s := openStore(t, "http://127.0.0.1:4000/", nil)
	handle := replenisher(s, nil).Handlers()["foreign"]
	for name, m := range map[string]queue.Message{
		"no attribute":    fromOthers(t, "out of stock", nil),
		"an empty one":    fromOthers(t, "out of stock", map[string]string{"ProductId": " "}),
		"unknown product": fromOthers(t, "out of stock", map[string]string{"ProductId": "CP-404"}),
		"not JSON":        {Type: "foreign", Body: []byte("out of stock")},
	} {
		if err := handle(t.Context(), m); !queue.IsDiscard(err) {
			t.Errorf("%s: %v, want it discarded", name, err)
		}
	}
	if err := handle(t.Context(), fromOthers(t, fmt.Sprintf(`{"ProductId":%q}`, "CP-1"), nil)); err != nil {
		t.Errorf("facts in the text: %v", err)
	}
}
