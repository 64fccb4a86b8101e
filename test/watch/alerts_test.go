package watch_test

import (
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/restock/restock"
)

const rulesFile = "deploy/prometheus/restock.rules.yml"

func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse([]byte(read(t, rulesFile)), false, model.LegacyValidation, promQL(), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Errorf("%s: %v", rulesFile, err)
	}
	all := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				t.Errorf("%s: the rule %s%s is no alert", rulesFile, r.Record, r.Expr)
			}
			all[r.Alert] = r
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no alerts", rulesFile)
	}
	return all
}

func TestEachAlertIsWellFormedAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, r := range alerts(t) {
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q, want page or ticket", name, s)
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", name)
		}
	}
}

// TestNoAlertFiresOfAShopThatIsWell: it sells, orders and receives.
func TestNoAlertFiresOfAShopThatIsWell(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	well := p.timeline("healthy", quick(p))
	for name, r := range alerts(t) {
		if well.fires(t, r.Expr, time.Duration(r.For)) {
			t.Errorf("%s fires, though all is well", name)
		}
	}
}

// inTrouble are the alerts that a shop fires in which all of that really happened.
func inTrouble() []string {
	return []string{
		"RestockSoldOutWithoutOrder", "RestockOrdersWait", "RestockOrdersOverdue", "RestockReceiptsHeld", "RestockFactorySpared",
		"RestockOrderingPaused", "RestockCallbacksForged", "RestockDeadLetters", "RestockMailsFail", "RestockWebhooksFail",
	}
}

func TestAShopInTroubleFiresTheAlertsOfIt(t *testing.T) {
	t.Parallel()
	all, ill := alerts(t), troubled(t).timeline("troubled", nil)
	for _, name := range inTrouble() {
		if r := all[name]; !ill.fires(t, r.Expr, time.Duration(r.For)) {
			t.Errorf("%s does not fire: %s", name, r.Expr)
		}
	}
}

// TestABrokerThatIsAwayFiresItsAlerts: the lag is real, and has only to last.
func TestABrokerThatIsAwayFiresItsAlerts(t *testing.T) {
	t.Parallel()
	p := broker(t)
	changes := map[string]course{}
	for _, key := range p.second.matching(t, "restock_outbox_lag_seconds") {
		changes[key] = func(since time.Duration) float64 { return since.Seconds() }
	}
	away := p.timeline("broker", changes)
	for _, name := range inBrokerTrouble() {
		if r := alerts(t)[name]; !away.fires(t, r.Expr, time.Duration(r.For)) {
			t.Errorf("%s does not fire: %s", name, r.Expr)
		}
	}
}

func inBrokerTrouble() []string { return []string{"RestockOutboxLags", "RestockEngineAway"} }

// change is a course for the series with a name and labels, all of which the
// command really tells.
type change struct {
	name   string
	labels []string
	course course
}

// quick has what a shop does take no time, and wait for nothing: this machine may
// be so slow that alerts rightly tell of it.
func quick(p pair) map[string]course {
	changes := map[string]course{}
	for key, s := range p.second.series {
		name := s.labels.Get("__name__")
		switch {
		case strings.HasSuffix(name, "_duration_seconds_bucket"):
			all := labels.NewBuilder(s.labels).Set("le", "+Inf").Labels().String()
			changes[key] = grown(p.second.series[all].value - p.first.series[all].value)
		case strings.HasSuffix(name, "_duration_seconds_total"):
			changes[key] = perSecond(0)
		}
	}
	return changes
}

// slower has one event a second, each of which takes longer than the buckets up
// to a bound.
func slower(t *testing.T, s scrape, name string, than float64, pairs ...string) map[string]course {
	t.Helper()
	changes := map[string]course{}
	for _, key := range s.matching(t, name+"_bucket", pairs...) {
		bound, err := strconv.ParseFloat(s.series[key].labels.Get("le"), 64)
		if err != nil {
			bound = math.Inf(1)
		}
		rate := 0.0
		if bound > than {
			rate = 1
		}
		changes[key] = perSecond(rate)
	}
	return changes
}

// TestWhatCannotBePlayedFiresItsAlertAsSoonAsItIsTold changes the course of
// series that the command really tells.
func TestWhatCannotBePlayedFiresItsAlertAsSoonAsItIsTold(t *testing.T) {
	t.Parallel()
	for name, changes := range scripted() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, instance := healthy(t), "healthy"
			if strings.Contains(name, "Retried") {
				p, instance = server(t), "server"
			}
			courses := quick(p)
			for _, c := range changes {
				if than, ok := strings.CutPrefix(c.name, "slow "); ok {
					maps.Copy(courses, slower(t, p.second, than, 1, c.labels...))
					continue
				}
				for _, key := range p.second.matching(t, c.name, c.labels...) {
					courses[key] = c.course
				}
			}
			r := alerts(t)[name]
			if !p.timeline(instance, courses).fires(t, r.Expr, time.Duration(r.For)) {
				t.Errorf("it does not fire: %s", r.Expr)
			}
			if p.timeline(instance, quick(p)).fires(t, r.Expr, time.Duration(r.For)) {
				t.Errorf("it fires without that, too: %s", r.Expr)
			}
		})
	}
}

func scripted() map[string][]change {
	return map[string][]change{
		"RestockCheckoutsFail": {{"restock_checkout_duration_seconds_count", []string{"outcome", "unavailable"}, perSecond(1)}},
		"RestockCheckoutsSlow": {{"slow restock_checkout_duration_seconds", []string{"outcome", "sold"}, nil}},
		"RestockCommitsSlow":   {{"slow restock_commit_duration_seconds", nil, nil}},
		"RestockActsRetried":   {{"restock_act_retries_total", []string{"reason", "deadlock"}, perSecond(2)}},
		"RestockPoolCrowded":   {{"go_sql_wait_duration_seconds_total", []string{"db_name", "reading"}, perSecond(2)}},
		"RestockLevelsMissing": {{"restock_levels_read_success", nil, level(-1)}},
		"RestockCallbacksFail": {{"restock_callbacks_total", []string{"class", "failed"}, perSecond(0.01)}},
		"RestockQueueOld":      {{"restock_queue_oldest_age_seconds", []string{"queue", "ad-queue"}, func(since time.Duration) float64 { return since.Seconds() }}},
	}
}

// TestASubscriberIsNoOldQueueUntilItTakesNothing: one message to it may wait for
// days, and one that is paused waits for ever. What takes nothing, restock itself
// tells, as it does of the queues of a broker.
func TestASubscriberIsNoOldQueueUntilItTakesNothing(t *testing.T) {
	t.Parallel()
	r, well := alerts(t)["RestockQueueOld"], healthy(t)
	age := func(since time.Duration) float64 { return max(0, since.Seconds()) }
	waits := line(labels.FromStrings("__name__", "restock_queue_oldest_age_seconds", "job", "restock", "instance", "healthy",
		"queue", restock.WebhookQueue(restock.WebhookID{1})), age)
	if append(well.timeline("healthy", nil), waits).fires(t, r.Expr, time.Duration(r.For)) {
		t.Error("it fires of a message that waits for a subscriber")
	}
	stuck := map[string]course{}
	for _, key := range well.second.matching(t, "restock_incidents", "kind", string(restock.IncidentQueueOld)) {
		stuck[key] = level(1)
	}
	if !well.timeline("healthy", stuck).fires(t, r.Expr, time.Duration(r.For)) {
		t.Error("it does not fire of a queue of which only the incident tells")
	}
}

// TestAProcessThatIsGoneFiresItsAlert: Prometheus itself notes that it does not
// answer, or that nobody is there who could.
func TestAProcessThatIsGoneFiresItsAlert(t *testing.T) {
	t.Parallel()
	r := alerts(t)["RestockDown"]
	gone := append(between(healthy(t).first, healthy(t).second, nil), up("healthy", func(since time.Duration) float64 {
		if since < 0 {
			return 1
		}
		return 0
	}))
	for name, l := range map[string]timeline{"it does not answer": gone, "nobody is there": nil} {
		if !l.fires(t, r.Expr, time.Duration(r.For)) {
			t.Errorf("%s: it does not fire", name)
		}
	}
}

// TestNoAlertIsWithoutATest: each of them was seen to fire.
func TestNoAlertIsWithoutATest(t *testing.T) {
	t.Parallel()
	tested := slices.Concat(inTrouble(), inBrokerTrouble(), slices.Collect(maps.Keys(scripted())), []string{"RestockDown"})
	slices.Sort(tested)
	if known := slices.Sorted(maps.Keys(alerts(t))); !slices.Equal(known, tested) {
		t.Errorf("alerts %q, and tests that make one fire of %q", known, tested)
	}
}

// TestEachAlertHasItsPageAndEachPageItsAlert: who is woken up finds what to do.
func TestEachAlertHasItsPageAndEachPageItsAlert(t *testing.T) {
	t.Parallel()
	const address = "https://github.com/restock/restock/blob/main/"
	wanted := map[string]bool{"docs/playbooks/README.md": true}
	index := read(t, "docs/playbooks/README.md")
	for name, r := range alerts(t) {
		path, ok := strings.CutPrefix(r.Annotations["runbook_url"], address)
		if !ok {
			t.Errorf("%s: the runbook_url %q is no page of ours", name, r.Annotations["runbook_url"])
			continue
		}
		wanted[path] = true
		page := read(t, path)
		for _, part := range []string{"# " + name + "\n", "\n## See it\n", "\n## What to do\n", "```text\n"} {
			if !strings.Contains("\n"+page, part) {
				t.Errorf("%s has no %q", path, part)
			}
		}
		if !strings.Contains(index, "["+name+"]("+filepath.Base(path)+")") {
			t.Errorf("docs/playbooks/README.md does not list %s", name)
		}
	}
	pages, err := filepath.Glob(root + "docs/playbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if path := strings.TrimPrefix(page, root); !wanted[path] {
			t.Errorf("%s is the page of no alert", path)
		}
	}
}
