package replenish

import (
	"time"

	"github.com/restock/restock"
)

// Window is how long a factory has to call back.
func (r *Replenisher) Window(f restock.Factory) time.Duration { return r.window(f) }
