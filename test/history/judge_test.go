package history_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// decideTimeout is how long porcupine may look for an order. A good history
// takes it a few milliseconds on a quick machine.
const decideTimeout = 3 * time.Minute

// judge gives everything that is wrong with a history. Each complaint begins
// with its promise.
func judge(h *history) []string {
	return slices.Concat(h.audit(), h.odd, h.order())
}

// order asks porcupine for an order of the acts in which the model answers the
// same.
func (h *history) order() []string {
	model, operations := shelfModel(), h.operations()
	result, info := porcupine.CheckOperationsVerbose(model, operations, decideTimeout)
	if result == porcupine.Ok {
		return nil
	}
	why := "porcupine rejects the history: no order explains its answers"
	if result == porcupine.Unknown {
		why = fmt.Sprintf("porcupine found no order in %v: undecided is not accepted", decideTimeout)
	}
	return []string{stuck(model, operations, info) + "; " + why}
}

// operations are the acts as porcupine takes them. An act whose answer has a
// time cannot have happened before it: one "now" is read at the beginning of
// its transaction. Of two that began at the same moment porcupine tries the
// first first, so sales of one transaction begin in the order of their ids,
// within their moment: it may still put them in any order.
func (h *history) operations() []porcupine.Operation {
	const moment = 4096 // room within one
	slices.SortFunc(h.done, func(a, b done) int {
		return cmp.Or(cmp.Compare(max(a.asked, a.at()), max(b.asked, b.at())), cmp.Compare(saleOf(a.act), saleOf(b.act)))
	})
	operations := make([]porcupine.Operation, len(h.done))
	for i, d := range h.done {
		operations[i] = porcupine.Operation{
			ClientId: d.client, Input: d.act, Call: max(d.asked, d.at())*moment + int64(i), Return: d.answered*moment + moment - 1,
		}
	}
	return operations
}

func saleOf(a act) string {
	if b, ok := a.(*buy); ok {
		return b.sale
	}
	return ""
}

// shelfModel is the shelf as porcupine sees it: question and answer are both in
// the act.
func shelfModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any {
			var s state
			for i := range s.products {
				s.products[i].onHand = openingStock
			}
			return s
		},
		Step: func(before, input, _ any) (bool, any) {
			after, broken := input.(act).step(before.(state))
			return broken == "", after
		},
	}
}

// stuck says what is wrong with the acts of which one has to come next, and
// none can, after the longest order that porcupine found. With several it is
// the first promise that counts.
func stuck(model porcupine.Model, operations []porcupine.Operation, info porcupine.LinearizationInfo) string {
	placed, current := map[act]bool{}, model.Init()
	for _, orders := range info.PartialLinearizationsOperations() {
		if len(orders) == 0 {
			continue
		}
		longest := slices.MaxFunc(orders, func(a, b []porcupine.Operation) int { return cmp.Compare(len(a), len(b)) })
		for _, o := range longest {
			placed[o.Input.(act)] = true
			_, current = model.Step(current, o.Input, nil)
		}
	}
	operations = slices.DeleteFunc(operations, func(o porcupine.Operation) bool { return placed[o.Input.(act)] })
	soon := slices.MinFunc(operations, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) }).Return
	var wrong []string
	for _, o := range operations {
		if _, broken := o.Input.(act).step(current.(state)); broken != "" && o.Call <= soon {
			wrong = append(wrong, broken)
		}
	}
	if len(wrong) == 0 {
		return "I2 conservation: each answer alone can be true, and all of them together cannot"
	}
	return slices.Min(wrong)
}
