package replenish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
)

// A shop that sells with another system says by a message of that system that
// something is out of stock. What it writes is free text; which product it is
// about stands in an attribute, in one of two spellings, as a SKU or a UUID. Fifty
// buyers who are turned away make fifty such messages. So each is only a reason to
// look: what is ordered, and whether, follows from the stock of now and from what
// is on order already.

// productAttributes are the spellings, and the one in which a factory is told.
func productAttributes() []string {
	return []string{"MessageAttributeProductId", "ProductId", "product_id"}
}

// foreign decides about the product that a message of another system names.
func (r *Replenisher) foreign(ctx context.Context, m queue.Message) error {
	var body struct {
		Message    string            `json:"message"`
		Attributes map[string]string `json:"attributes"`
	}
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return queue.Discard(fmt.Errorf("the body cannot be read: %w", err))
	}
	ref := named(body.Attributes)
	if ref == "" { // a few write all of it into the text, as JSON
		var text map[string]any
		if json.Unmarshal([]byte(body.Message), &text) == nil {
			ref = named(texts(text))
		}
	}
	if ref == "" {
		return queue.Discard(errors.New("a message of others that names no product: give it the attribute MessageAttributeProductId or ProductId"))
	}
	product, err := r.store.Product(ctx, ref)
	if restock.KindOf(err) == restock.NotFound {
		return queue.Discard(fmt.Errorf("a message of others about product %.100q, which is not in the catalogue: add it, then redrive", ref))
	}
	if err != nil {
		return fmt.Errorf("find product: %w", err)
	}
	return r.plan(ctx, product.ID)
}

func named(attributes map[string]string) string {
	for _, name := range productAttributes() {
		if ref := strings.TrimSpace(attributes[name]); ref != "" {
			return ref
		}
	}
	return ""
}

func texts(values map[string]any) map[string]string {
	all := make(map[string]string, len(values))
	for name, value := range values {
		if text, ok := value.(string); ok {
			all[name] = text
		}
	}
	return all
}
