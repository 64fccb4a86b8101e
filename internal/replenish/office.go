package replenish

import (
	"time"

	"github.com/restock/restock"
)

// What operators ask of the room that orders, beside OrderByHand and Preview.

// Window is how long a factory has to call back.
func (r *Replenisher) Window(f restock.Factory) time.Duration { return r.window(f) }

// AttemptAt tells whose callback address this is. It is false for one that we
// never signed.
func (r *Replenisher) AttemptAt(callbackURL string) (restock.OrderID, int, bool) {
	return r.firstGood(tokensIn(callbackURL))
}
