package dashboard_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

// deed is an act with what is said then and what is kept of it.
type deed struct {
	path string
	form url.Values
	says string
	kept string // the action in the audit trail
}

// acts are those that a busy shop lets an operator do, in an order in which
// each can be done.
func (s *shop) acts() []deed {
	order := func(id restock.OrderID, act string) string { return fmt.Sprintf("/dashboard/orders/%s/%s", id, act) }
	return []deed{
		{order(s.awaiting, "approve"), nil, "The order is approved.", "order.approve"},
		{order(s.held, "wait"), url.Values{"hours": {"3"}}, "The order waits on.", "order.wait"},
		{order(s.held, "write-off"), nil, "The order is written off.", "order.write_off"},
		{order(s.awaiting, "reject"), nil, "The order is rejected.", "order.reject"},
		{fmt.Sprintf("/dashboard/receipts/%s/approve", s.heldReceipt), url.Values{"count": {"1"}}, "The goods are booked.", "receipt.approve"},
		{fmt.Sprintf("/dashboard/receipts/%s/refuse", s.orphan), nil, "The goods are refused.", "receipt.refuse"},
		{fmt.Sprintf("/dashboard/dead-letters/%s/redrive", s.letter), url.Values{"queue": {"stock-queue"}, "stale": {"yes"}}, "The message is back on its queue.", "dead.redrive"},
		{fmt.Sprintf("/dashboard/ad-holds/%s/acknowledge", s.hold), nil, "It is noted.", "ad.acknowledge"},
		{"/dashboard/ordering/pause", nil, "Ordering is paused.", "ordering.pause"},
		{"/dashboard/ordering/resume", nil, "Ordering goes on.", "ordering.resume"},
	}
}

func TestEachActIsDoneAndKeptWithWhoAndWhy(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.signIn("김운영", operatorToken)
	var want []string
	for n, d := range shop.acts() {
		reason := fmt.Sprintf("reason %d <b>", n)
		form := url.Values{"reason": {reason}}
		maps.Copy(form, d.form)
		if got := b.act(d.path, form); got != d.says {
			t.Errorf("%s: said %q, want %q", d.path, got, d.says)
		}
		want = append(want, "김운영 "+d.kept+": "+reason)
	}
	if diff := cmp.Diff(want, shop.audit()); diff != "" {
		t.Errorf("the audit trail (-want +got):\n%s", diff)
	}
	if got := shop.product("CP-1").Stock.OnHand; got != 4 { // three came, one of two was approved
		t.Errorf("%d on hand, want 4", got)
	}
	b.get("/dashboard/audit").wantText(t, "김운영", "reason 0 <b>", "order approved", "receipt refused")
}

func TestAHeldOrderIsPlacedAgain(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	if got := shop.operator().act(fmt.Sprintf("/dashboard/orders/%s/retry", shop.held), nil); got != "The order will be placed again." {
		t.Errorf("said %q", got)
	}
	if o, err := shop.store.Order(t.Context(), shop.held); err != nil || o.State != restock.OrderPlanned {
		t.Errorf("the order is %s, %v", o.State, err)
	}
}

func TestADeadLetterIsDiscarded(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	address := fmt.Sprintf("/dashboard/dead-letters/%s", shop.letter)
	if got := b.act(address+"/discard", url.Values{"queue": {"stock-queue"}}); got != "The message is discarded." {
		t.Errorf("said %q", got)
	}
	b.get(address+"?queue=stock-queue").wantText(t, "It is no dead letter any more", "message discarded")
}

// TestAnActNeedsAnOperatorAtOurOwnPage: whatever is missing, nothing is done.
func TestAnActNeedsAnOperatorAtOurOwnPage(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	kim, lee, viewer := shop.operator(), shop.signIn("Lee", operatorToken), shop.signIn("Park", viewerToken)
	approve := fmt.Sprintf("/dashboard/orders/%s/approve", shop.awaiting)
	form := func(csrf string) url.Values { return url.Values{"reason": {"because"}, "csrf": {csrf}} }
	for name, c := range map[string]struct {
		who    *browser
		form   url.Values
		header map[string]string
		status int
	}{
		"without the token of the session": {kim, url.Values{"reason": {"because"}}, kim.ours(), http.StatusForbidden},
		"with an empty token":              {kim, form(""), kim.ours(), http.StatusForbidden},
		"with another session's token":     {kim, form(lee.csrf()), kim.ours(), http.StatusForbidden},
		"with the token in the address":    {kim, nil, kim.ours(), http.StatusForbidden},
		"from a foreign page":              {kim, form(kim.csrf()), map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		"from nowhere":                     {kim, form(kim.csrf()), nil, http.StatusForbidden},
		"from a page of the same site":     {kim, form(kim.csrf()), map[string]string{"Origin": kim.url, "Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		"as a viewer":                      {viewer, form(viewer.csrf()), viewer.ours(), http.StatusForbidden},
		"with a form that is too large":    {kim, url.Values{"reason": {strings.Repeat("x", 20<<10)}, "csrf": {kim.csrf()}}, kim.ours(), http.StatusForbidden},
	} {
		path := approve
		if c.form == nil {
			path += "?csrf=" + kim.csrf() + "&reason=because"
			c.form = url.Values{}
		}
		if got := c.who.do(http.MethodPost, path, c.form, c.header); got.status != c.status {
			t.Errorf("%s: answered %d, want %d: %s", name, got.status, c.status, text(got.body))
		}
	}
	for _, d := range shop.acts() {
		got := viewer.send(d.path, form(viewer.csrf()))
		if got.status != http.StatusForbidden {
			t.Errorf("a viewer was answered %d by %s", got.status, d.path)
		}
		got.wantText(t, "Viewers cannot act.")
	}
	if got := kim.send("/dashboard/checks", url.Values{}); got.status != http.StatusForbidden {
		t.Errorf("a check without a token was answered %d", got.status)
	}
	if got := shop.audit(); len(got) > 0 {
		t.Errorf("something was done: %q", got)
	}
}

func TestAnActNeedsAReason(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	for _, reason := range []string{"", " \t ", strings.Repeat("r", restock.ReasonBytesMax+1)} {
		for _, d := range shop.acts() {
			if got := b.act(d.path, url.Values{"reason": {reason}}); !strings.HasPrefix(got, "Give a reason") {
				t.Errorf("%s for %.10q: said %q", d.path, reason, got)
			}
		}
	}
	if got := shop.audit(); len(got) > 0 {
		t.Errorf("something was done: %q", got)
	}
}

func TestWhatCannotBeDoneSaysWhy(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	for path, c := range map[string]struct {
		form url.Values
		says string
	}{
		fmt.Sprintf("/dashboard/orders/%s/approve", shop.held):                {nil, "cannot be approved: it is held"},
		fmt.Sprintf("/dashboard/orders/%s/approve", restock.OrderID{1}):       {nil, "there is no order"},
		"/dashboard/orders/x/approve":                                         {nil, "is not an id"},
		fmt.Sprintf("/dashboard/receipts/%s/approve", shop.heldReceipt):       {url.Values{"count": {"-1"}}, "count must be a whole number"},
		fmt.Sprintf("/dashboard/receipts/%s/approve", shop.orphan):            {nil, "say whose goods they are"},
		fmt.Sprintf("/dashboard/orders/%s/wait", shop.held):                   {url.Values{"hours": {"soon"}}, "hours must be a whole number"},
		fmt.Sprintf("/dashboard/dead-letters/%s/redrive", restock.EventID{1}): {nil, "there is no such dead letter"},
	} {
		if got := b.act(path, c.form); !strings.HasPrefix(got, "Not done.") || !strings.Contains(got, c.says) {
			t.Errorf("%s: said %q, want %q", path, got, c.says)
		}
	}
	if got := b.send("/dashboard/orders/x/explode", url.Values{}); got.status != http.StatusMethodNotAllowed {
		t.Errorf("an act that is not there was answered %d", got.status)
	}
}

func TestViewersSeeNoForms(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	operator, viewer := shop.operator(), shop.signIn("Park", viewerToken)
	forms := 0
	for _, address := range shop.addresses() {
		forms += strings.Count(operator.get(address).body, `class="act"`)
		if body := viewer.get(address).body; strings.Contains(body, `class="act"`) {
			t.Errorf("%s shows a viewer a form", address)
		}
	}
	if forms < 10 {
		t.Errorf("an operator sees %d forms", forms)
	}
}

// TestWhatIsToldOnceIsToldToAPerson: the script asks for the head of a page, to
// find out whether the session has ended, and shows nobody what comes with it.
func TestWhatIsToldOnceIsToldToAPerson(t *testing.T) {
	t.Parallel()
	b := open(t, nil).operator()
	b.send("/dashboard/ordering/pause", url.Values{"csrf": {b.csrf()}, "reason": {"stocktake"}, "back": {"/dashboard/audit"}})
	b.do(http.MethodHead, "/dashboard/audit", nil, nil)
	if got := b.said(); got != "Ordering is paused." {
		t.Errorf("it is told %q", got)
	}
}
