package replenish

import (
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/restock/restock/internal/web"
)

// refusalLinesMax is how many lines a second each address gets in the log. Its
// requests are not slowed down: a factory may stand behind the same address.
const refusalLinesMax = 1

// gate keeps the count of those who came without a good token.
type gate struct {
	refused atomic.Int64
	lines   *web.Pace
}

func newGate(trusted []netip.Prefix) *gate {
	return &gate{lines: web.NewPace(refusalLinesMax, trusted)}
}

// CallbacksRefused is how many callbacks this process has refused for want of
// a good token.
func (r *Replenisher) CallbacksRefused() int64 { return r.gate.refused.Load() }

// refused counts one of them, and logs it unless its address has a line already.
func (r *Replenisher) refused(req *http.Request) {
	r.gate.refused.Add(1)
	r.cfg.Observe(CallbackUnauthenticated)
	if ok, unlogged := r.gate.lines.Allow(req); ok {
		r.log.WarnContext(req.Context(), "callback without a good token", keyRemote, req.RemoteAddr, keyUnlogged, unlogged)
	}
}
