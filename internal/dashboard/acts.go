package dashboard

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// waitHours is how long an order waits whose form says nothing else.
const waitHours = 24

// act is one thing that a person does with a form. It gives the key of what is
// said when it is done.
type act func(ctx context.Context, r *http.Request, who restock.Act) error

// routeActs adds what an operator can do.
func (d *Dashboard) routeActs(mux *http.ServeMux) {
	for name, do := range map[string]func(context.Context, restock.OrderID, *http.Request, restock.Act) error{
		"approve": func(ctx context.Context, id restock.OrderID, _ *http.Request, who restock.Act) error {
			_, err := d.store.ApproveOrder(ctx, id, who)
			return err
		},
		"reject": func(ctx context.Context, id restock.OrderID, _ *http.Request, who restock.Act) error {
			_, err := d.store.RejectOrder(ctx, id, time.Time{}, who)
			return err
		},
		"retry": func(ctx context.Context, id restock.OrderID, _ *http.Request, who restock.Act) error {
			_, err := d.store.RetryOrder(ctx, id, who)
			return err
		},
		"wait": d.waitOrder,
		"write-off": func(ctx context.Context, id restock.OrderID, _ *http.Request, who restock.Act) error {
			_, err := d.store.WriteOffOrder(ctx, id, who)
			return err
		},
	} {
		d.route(mux, "orders/{id}/"+name, "order."+name, byID(do))
	}
	d.route(mux, "receipts/{id}/approve", "receipt.approve", byID(d.approveReceipt))
	d.route(mux, "receipts/{id}/refuse", "receipt.refuse", byID(
		func(ctx context.Context, id restock.ReceiptID, _ *http.Request, who restock.Act) error {
			_, err := d.store.RefuseReceipt(ctx, id, who)
			return err
		}))
	d.route(mux, "dead-letters/{id}/redrive", "dead.redrive", byID(
		func(ctx context.Context, id restock.EventID, r *http.Request, who restock.Act) error {
			_, err := d.store.RedriveDeadLetter(ctx, r.PostForm.Get("queue"), id, restock.Redrive{Act: who, Stale: r.PostForm.Get("stale") == "yes"})
			return err
		}))
	d.route(mux, "dead-letters/{id}/discard", "dead.discard", byID(
		func(ctx context.Context, id restock.EventID, r *http.Request, who restock.Act) error {
			_, err := d.store.DiscardDeadLetter(ctx, r.PostForm.Get("queue"), id, restock.Discard{Act: who})
			return err
		}))
	d.route(mux, "ad-holds/{id}/acknowledge", "ad.acknowledge", byID(
		func(ctx context.Context, id restock.AdHoldID, _ *http.Request, who restock.Act) error {
			_, err := d.store.AcknowledgeAdHold(ctx, id, who)
			return err
		}))
	d.route(mux, "ordering/pause", "ordering.pause", func(ctx context.Context, _ *http.Request, who restock.Act) error {
		return d.store.PauseOrdering(ctx, "", who)
	})
	d.route(mux, "ordering/resume", "ordering.resume", func(ctx context.Context, _ *http.Request, who restock.Act) error {
		return d.store.ResumeOrdering(ctx, "", who)
	})
	mux.HandleFunc("POST /dashboard/checks", d.acting(func(w http.ResponseWriter, r *http.Request) {
		d.checks.ask()
		d.back(w, r, notice{Text: d.text(r, "done_checks")})
	}))
}

func byID[I any](do func(context.Context, restock.ID[I], *http.Request, restock.Act) error) act {
	return func(ctx context.Context, r *http.Request, who restock.Act) error {
		id, err := restock.ParseID[I](r.PathValue("id"))
		if err != nil {
			return err
		}
		return do(ctx, id, r, who)
	}
}

// route adds an act: who signed in does it, for the reason in the form, and
// hears on the page from which it came how it went.
func (d *Dashboard) route(mux *http.ServeMux, pattern, name string, do act) {
	mux.HandleFunc("POST "+root+"/"+pattern, d.acting(func(w http.ResponseWriter, r *http.Request) {
		who := restock.Act{By: sessionOf(r.Context()).name, Reason: strings.TrimSpace(r.PostForm.Get("reason"))}
		if who.Reason == "" || len(who.Reason) > restock.ReasonBytesMax {
			d.back(w, r, notice{Failed: true, Text: d.text(r, "reason_needed", restock.ReasonBytesMax)})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), d.cfg.ReadTimeout)
		defer cancel()
		if err := do(ctx, r, who); err != nil {
			d.back(w, r, d.failure(w, r, err))
			return
		}
		d.log.InfoContext(r.Context(), "a person acted", keyAction, name, keyID, r.PathValue("id"), keyBy, who.By, keyReason, who.Reason)
		d.back(w, r, notice{Text: d.text(r, "done_"+strings.ReplaceAll(strings.ReplaceAll(name, ".", "_"), "-", "_"))})
	}))
}

// failure says why an act was not done.
func (d *Dashboard) failure(w http.ResponseWriter, r *http.Request, err error) notice {
	fault := web.Report(w, r, d.log, err)
	return notice{Failed: true, Text: d.text(r, "not_done") + " " + fault.Detail}
}

// text is a text in the language of a request.
func (d *Dashboard) text(r *http.Request, key string, args ...any) string {
	v := &view{Language: language(r), words: d.words[language(r)]}
	text, err := v.T(key, args...)
	if err != nil {
		d.log.ErrorContext(r.Context(), "a text is missing", keyError, err)
		return key
	}
	return text
}

// back goes to the page from which a form came, where the notice is shown.
func (d *Dashboard) back(w http.ResponseWriter, r *http.Request, n notice) {
	d.counts.forget()
	d.sessions.tell(sessionOf(r.Context()).key, n)
	http.Redirect(w, r, localPath(r.PostForm.Get("back")), http.StatusSeeOther) //nolint:gosec // localPath knows only our own pages.
}

func (d *Dashboard) waitOrder(ctx context.Context, id restock.OrderID, r *http.Request, who restock.Act) error {
	hours, err := count(r, "hours")
	if err != nil {
		return err
	}
	if hours == 0 {
		hours = waitHours
	}
	hours = min(hours, int64(restock.WaitMax/time.Hour))
	_, err = d.store.WaitOrder(ctx, id, d.cfg.Now().Add(time.Duration(hours)*time.Hour), who)
	return err
}

func (d *Dashboard) approveReceipt(ctx context.Context, id restock.ReceiptID, r *http.Request, who restock.Act) error {
	pieces, err := count(r, "count")
	if err != nil {
		return err
	}
	_, err = d.store.ApproveReceipt(ctx, id, restock.Approval{Count: pieces, Product: strings.TrimSpace(r.PostForm.Get("product"))}, who)
	return err
}

// count reads a whole number of a form; one that is left out is 0.
func count(r *http.Request, name string) (int64, error) {
	text := strings.TrimSpace(r.PostForm.Get(name))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > restock.QuantityMax {
		return 0, restock.Errorf(restock.Invalid, restock.CodeInvalid, "%s must be a whole number from 1 to %d", name, int64(restock.QuantityMax))
	}
	return n, nil
}
