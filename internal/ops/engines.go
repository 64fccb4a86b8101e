package ops

import (
	"context"
	"net/http"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/web"
)

// Engines remembers which queue engines may hold messages.
type Engines interface {
	Engines(ctx context.Context) (restock.QueueEngines, error)
	ForgetEngine(ctx context.Context, name string, act restock.Act) error
}

// Depths tells how much lies on each queue of a broker.
type Depths interface {
	Depths(ctx context.Context) ([]queue.Depth, error)
}

// EngineReport is how one broker stands.
type EngineReport struct {
	Name   string        `json:"name"`
	Depths []queue.Depth `json:"queues"`
	// Error is why it does not answer; "" when it does.
	Error string `json:"error,omitempty"`
}

// QueueReport is what GET /v1/queue answers.
type QueueReport struct {
	Engine EngineReport   `json:"engine"`
	Before []EngineReport `json:"before"`
}

// ForgetBody is what POST /v1/queue/forget takes.
type ForgetBody struct {
	ActBody

	Engine string `json:"engine"`
}

func (a *api) engineRoutes(mux *web.Mux) {
	mux.HandleFunc("GET /v1/queue", a.queueReport)
	mux.HandleFunc("POST /v1/queue/forget", a.forgetEngine)
}

func (a *api) queueReport(w http.ResponseWriter, r *http.Request) {
	engines, err := a.store.Engines(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	report := QueueReport{Engine: a.engineReport(r.Context(), engines.Engine), Before: []EngineReport{}}
	for _, name := range engines.Before {
		report.Before = append(report.Before, a.engineReport(r.Context(), name))
	}
	web.WriteJSON(w, http.StatusOK, report)
}

func (a *api) engineReport(ctx context.Context, name string) EngineReport {
	report := EngineReport{Name: name, Depths: []queue.Depth{}}
	engine, ok := a.cfg.Engines[name]
	if !ok {
		if name != restock.EmbeddedEngine {
			report.Error = "this process does not reach it; give its URL with --queue-before"
		}
		return report
	}
	depths, err := engine.Depths(ctx)
	if err != nil {
		report.Error = err.Error()
	} else {
		report.Depths = append(report.Depths, depths...)
	}
	return report
}

// forgetEngine ends the drain of an engine that was used before. One that still
// holds something is not forgotten; one that is gone for good is.
func (a *api) forgetEngine(w http.ResponseWriter, r *http.Request) {
	body, act, _, err := readAct[ForgetBody](w, r, actionBytesMax)
	if err == nil {
		for _, d := range a.engineReport(r.Context(), body.Engine).Depths {
			if left := d.Waiting + d.InFlight + d.Dead; left > 0 {
				err = restock.Errorf(restock.Conflict, restock.CodeConflict,
					"%s still holds %d messages of %s; they are moved while the role relay runs", body.Engine, left, d.Queue)
			}
		}
	}
	if err == nil {
		err = a.store.ForgetEngine(r.Context(), body.Engine, act)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, map[string]string{"engine": body.Engine, "result": "forgotten"})
}
