package watch_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

const dashboardFile = "deploy/grafana/restock.json"

// panel is what is needed here of a panel of Grafana.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	} `json:"gridPos"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct {
		UID    string  `json:"uid"`
		Title  string  `json:"title"`
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.Title == "" || len(dashboard.Panels) == 0 {
		t.Fatalf("%s is no dashboard", dashboardFile)
	}
	return dashboard.Panels
}

// TestEachPanelShowsSomethingOfTheShops evaluates the panels over what the shops
// told: a metric that is not there, or a label that it lacks, shows nothing.
func TestEachPanelShowsSomethingOfTheShops(t *testing.T) {
	t.Parallel()
	var all timeline
	for instance, p := range map[string]pair{"healthy": healthy(t), "troubled": troubled(t), "broker": broker(t), "server": server(t)} {
		all = append(all, p.timeline(instance, nil)...)
	}
	told := families(t)
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			parsed, err := promQL().ParseExpr(expr)
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
				continue
			}
			for _, name := range namesIn(parsed) {
				for _, suffix := range []string{"_bucket", "_count", "_sum"} {
					if base, ok := strings.CutSuffix(name, suffix); ok && told[base] != nil {
						name = base
					}
				}
				if told[name] == nil {
					t.Errorf("%s: nobody tells %s", p.Title, name)
				}
			}
			if len(all.evaluate(t, expr)) == 0 {
				t.Errorf("%s shows nothing: %s", p.Title, expr)
			}
		}
	}
}

func namesIn(expr parser.Expr) []string {
	var names []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			names = append(names, v.Name)
		}
		return nil
	})
	return names
}

func TestPanelsSayWhatTheyShowAndLieBesideEachOther(t *testing.T) {
	t.Parallel()
	const columns = 24
	taken := map[[2]int]string{}
	var ids []int
	for _, p := range panels(t) {
		if slices.Contains(ids, p.ID) {
			t.Errorf("%s has the id of another panel", p.Title)
		}
		ids = append(ids, p.ID)
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("%s does not say what it shows", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= columns {
					t.Fatalf("%s lies over %q, or beside the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
