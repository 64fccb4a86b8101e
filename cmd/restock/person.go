package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock/internal/ops"
)

// decider is who decides something.
type decider struct {
	remote `embed:""`
	By     string `placeholder:"NAME" help:"Who decides; your user name when left out."`
}

func (d *decider) actBecause(reason string) ops.ActBody {
	by := d.By
	if by == "" {
		if u, err := user.Current(); err == nil {
			by = u.Username
		}
	}
	return ops.ActBody{Reason: reason, By: by}
}

// post sends what a person decided and reads the answer into v.
func (d *decider) post(c *console, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return d.call(c, http.MethodPost, path, nil, text, v)
}

// person is what all commands share with which a person decides something and
// has to say why.
type person struct {
	decider `embed:""`
	Reason  string `required:"" help:"Why; it is kept with what was done."`
}

func (p *person) act() ops.ActBody { return p.actBecause(p.Reason) }

// moment is a time that a person gives: RFC 3339, a date and time of this
// machine, or how long from now.
type moment string

func (m moment) time(now time.Time) (time.Time, error) {
	text := string(m)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 24h, 3d, 2026-03-01, \"2026-03-01 09:00\" or 2026-03-01T09:00:00+09:00", text)
}
