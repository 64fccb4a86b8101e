// Package adloop_test holds the conversation with ad managers to its promises,
// from outside: the built command, a real mail server with TLS and AUTH that
// misbehaves, and the links in its letters.
//
// RESTOCK_TEST_FULL=1 crosses zero a thousand times.
package adloop_test

import (
	"fmt"
	"net/http"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/test/blackbox"
)

// command is the built command, made once for all tests here.
var command string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "restock-adloop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	command = filepath.Join(folder, "restock")
	if out, err := buildInto(command); err != nil {
		fmt.Fprintf(os.Stderr, "building restock: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Who is written to.
const (
	manager    = "ads@donut.example"
	operations = "operations@donut.example"
)

// shop opens a shop with an advertised product AD of three pieces.
func shop(t *testing.T, post *blackbox.Post, language restock.Language, flags ...string) *blackbox.Shop {
	t.Helper()
	return blackbox.OpenShop(t, command, blackbox.Setup{
		Factory:  blackbox.NewFactory(t, nil, nil),
		Products: "  - {sku: AD, slug: ad, name: 부산도너츠, price: 1, opening_stock: 3, factory: FF-500293, order_quantity: 10, advertisement: donut-main}\n",
		Sections: "advertisements:\n  - {name: donut-main, manager_email: " + manager + ", language: " + string(language) + "}\n",
		Env:      post.Env(),
		Flags: append([]string{
			"--mail", post.URL(), "--mail-from", "Donut Shop <shop@donut.example>", "--operations-email", operations,
			"--ad-spacing", "1ms",
		}, flags...),
	})
}

func sellOut(t *testing.T, s *blackbox.Shop) {
	t.Helper()
	if a, err := s.Buy(`{"sku":"AD","quantity":3}`); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the purchase was answered with %+v, %v", a, err)
	}
}

// hold is an ad hold as the operator's API shows it.
type hold struct {
	restock.AdHold

	Told           restock.AdAsk `json:"told"`
	AcknowledgedAt time.Time     `json:"acknowledged_at"`
}

func holds(s *blackbox.Shop) []hold {
	var page struct {
		Items []hold `json:"items"`
	}
	s.Get("/v1/ad-holds", &page)
	return page.Items
}

// awaitHold waits until the last hold is as it should be.
func awaitHold(s *blackbox.Shop, promise string, ok func(hold) bool) {
	s.Until(promise, func() bool {
		all := holds(s)
		return len(all) > 0 && ok(all[0])
	})
}

// link finds the link of a letter, at the server's present address; text and HTML
// have the same.
func link(t *testing.T, s *blackbox.Shop, l blackbox.Letter) string {
	t.Helper()
	found := regexp.MustCompile(regexp.QuoteMeta(blackbox.PublicURL) + `(/ad-answer\?token=[a-z2-7]+)`).FindStringSubmatch(l.Text)
	if found == nil || !strings.Contains(l.HTML, `href="`+found[0]+`"`) {
		t.Fatalf("the letter has no link, or not the same in its HTML:\n%s\n%s", l.Text, l.HTML)
	}
	return s.URL() + found[1]
}

// page opens a link, as anybody who has it does.
func page(t *testing.T, method, target string, form url.Values) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := blackbox.Exchange(t, request)
	if err != nil {
		t.Fatal(err)
	}
	return a.Status, a.Body
}

// press opens a link and presses the one button of its page.
func press(t *testing.T, s *blackbox.Shop, l blackbox.Letter) string {
	t.Helper()
	status, shown := page(t, http.MethodGet, link(t, s, l), nil)
	form := regexp.MustCompile(`(?s)<form method="post" action="([^"]+)">.*name="token" value="([^"]+)">.*<button`).FindStringSubmatch(shown)
	if status != http.StatusOK || form == nil {
		t.Fatalf("the page has no button: %d %s", status, shown)
	}
	status, answer := page(t, http.MethodPost, s.URL()+form[1], url.Values{"token": {form[2]}})
	if status != http.StatusOK {
		t.Fatalf("the button was answered with %d %s", status, answer)
	}
	return answer
}

// TestTheWholeConversation is stop, reminder, operations, acknowledge, resume,
// over both kinds of encryption.
func TestTheWholeConversation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		implicit bool
		language restock.Language
		subjects [4]string
		pages    [4]string
	}{
		"TLS from the first byte, in Korean": {true, restock.Korean, [4]string{
			"광고 중지 요청: donut-main (부산도너츠 품절)", "Re: 광고 중지 요청: donut-main (부산도너츠 품절)",
			"광고 재개 가능: donut-main (부산도너츠 재입고)", "Re: 광고 재개 가능: donut-main (부산도너츠 재입고)",
		}, [4]string{"광고를 중지하셨나요?", "감사합니다", "이미 답을 받았습니다", "다시 판매되고 있습니다"}},
		"STARTTLS, in English": {false, restock.English, [4]string{
			"Please stop the advertisement donut-main: 부산도너츠 is sold out", "Re: Please stop the advertisement donut-main: 부산도너츠 is sold out",
			"The advertisement donut-main can resume: 부산도너츠 is back", "Re: The advertisement donut-main can resume: 부산도너츠 is back",
		}, [4]string{"Have you stopped it?", "Thank you", "Already answered", "Back in stock"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			post := blackbox.OpenPost(t, c.implicit)
			s := shop(t, post, c.language, "--ad-reminder", "1s", "--ad-escalation", "2s", "--log-level", "debug")
			sellOut(t, s)

			// The mail server's scanner opens the link, and that answers nothing.
			stop := post.Await(t, manager, 1)[0]
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
				if status, shown := page(t, method, link(t, s, stop), nil); status != http.StatusOK || method == http.MethodGet && !strings.Contains(shown, c.pages[0]) {
					t.Errorf("the page of the link: %d %s", status, shown)
				}
			}
			reminder := post.Await(t, manager, 2)[1]
			awaitTold(t, post, "ad manager does not answer")
			awaitHold(s, "the stop is not acknowledged by looking", func(h hold) bool {
				return h.State == restock.AdHoldStopped && h.Told == restock.AskStop && h.AcknowledgedAt.IsZero() && !h.EscalatedAt.IsZero()
			})
			if shown := press(t, s, reminder); !strings.Contains(shown, c.pages[1]) {
				t.Errorf("the answer is answered with %s", shown)
			}
			if _, shown := page(t, http.MethodGet, link(t, s, stop), nil); !strings.Contains(shown, c.pages[2]) {
				t.Errorf("the other link after the answer: %s", shown)
			}
			awaitHold(s, "the stop is acknowledged", func(h hold) bool { return !h.AcknowledgedAt.IsZero() && h.EscalatedAt.IsZero() })

			order := s.Factory.Await(t, 1)[0]
			if a, err := s.Deliver(order, order.Body); err != nil || a.Status != http.StatusOK {
				t.Fatalf("the callback was answered with %+v, %v", a, err)
			}
			resume := post.Await(t, manager, 3)[2]
			if _, shown := page(t, http.MethodGet, link(t, s, stop), nil); !strings.Contains(shown, c.pages[3]) || strings.Contains(shown, "<form") {
				t.Errorf("the link to stop after the stock is back: %s", shown)
			}
			again := post.Await(t, manager, 4)[3]
			press(t, s, resume)
			awaitHold(s, "the resumption is acknowledged", func(h hold) bool { return h.Told == restock.AskResume && !h.AcknowledgedAt.IsZero() })

			letters := []blackbox.Letter{stop, reminder, resume, again}
			wantThread(t, letters)
			for i, l := range letters {
				if l.Subject != c.subjects[i] {
					t.Errorf("subject %q, want %q", l.Subject, c.subjects[i])
				}
			}
			s.Quiet()
			if n := len(post.To(manager)); n != 4 {
				t.Errorf("%d letters, want 4", n)
			}
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
			wantNoSecret(t, s, letters)
		})
	}
}

// wantNoSecret looks for what the links carry in all that the server said.
func wantNoSecret(t *testing.T, s *blackbox.Shop, letters []blackbox.Letter) {
	t.Helper()
	said, err := os.ReadFile(s.Server.Log.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(said), "path=/ad-answer") {
		t.Error("the log does not tell that a link was opened")
	}
	for _, l := range letters {
		if _, token, _ := strings.Cut(link(t, s, l), "token="); strings.Contains(string(said), token) {
			t.Errorf("I10 no token in a log: that of %s is", l.ID())
		}
	}
}

// awaitTold waits for a letter to operations with some words.
func awaitTold(t *testing.T, post *blackbox.Post, words string) {
	t.Helper()
	for n := 1; ; n++ {
		letters := post.Await(t, operations, n)
		if l := letters[n-1]; strings.Contains(l.Subject+l.Text, words) {
			return
		}
	}
}

// wantThread holds stop, reminder, resume and its reminder to what mail programs
// need to show one conversation.
func wantThread(t *testing.T, letters []blackbox.Letter) {
	t.Helper()
	stop, resume := letters[0].ID(), letters[2].ID()
	answers, references := []string{"", stop, stop, resume}, []string{"", stop, stop, stop + " " + resume}
	for i, l := range letters {
		want := map[string]string{
			"To": "<" + manager + ">", "Reply-To": "<" + operations + ">", "Auto-Submitted": "auto-generated",
			"In-Reply-To": answers[i], "References": references[i],
		}
		got := map[string]string{}
		for name := range want {
			got[name] = l.Header.Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("letter %d (-want +got):\n%s", i, diff)
		}
		if from, err := netmail.ParseAddress(l.Header.Get("From")); err != nil || from.String() != `"Donut Shop" <shop@donut.example>` {
			t.Errorf("letter %d is from %v, %v", i, from, err)
		}
		if l.Text == "" || !strings.Contains(l.HTML, "<html") {
			t.Errorf("letter %d has not both parts:\n%s", i, l.Raw)
		}
	}
}

// TestNoMailIsLostToAServerThatMisbehaves greylists, goes away and breaks off
// after DATA. A repeat is the same letter.
func TestNoMailIsLostToAServerThatMisbehaves(t *testing.T) {
	t.Parallel()
	post := blackbox.OpenPost(t, true)
	s := shop(t, post, restock.Korean)
	post.Plan(manager, slices.Concat(
		slices.Repeat([]blackbox.Behaviour{blackbox.Greylists}, 7), // more often than a message is tried that failed
		[]blackbox.Behaviour{blackbox.GoesAway, blackbox.DropsIt, blackbox.DropsIt},
	)...)
	sellOut(t, s)
	letters := post.Await(t, manager, 3)
	for _, l := range letters[1:] {
		if l.ID() != letters[0].ID() || l.Raw != letters[0].Raw {
			t.Errorf("a repeat is another letter:\n%s\n--- first ---\n%s", l.Raw, letters[0].Raw)
		}
	}
	awaitHold(s, "the mail is sent", func(h hold) bool { return h.State == restock.AdHoldStopped && h.Stop.Mail.Tries == 11 })

	post.Plan(manager, blackbox.DropsIt, blackbox.Greylists)
	order := s.Factory.Await(t, 1)[0]
	if a, err := s.Deliver(order, order.Body); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the callback was answered with %+v, %v", a, err)
	}
	letters = post.Await(t, manager, 5)
	if letters[3].ID() != letters[4].ID() || letters[3].Header.Get("In-Reply-To") != letters[0].ID() {
		t.Errorf("letters %s and %s, in reply to %s", letters[3].ID(), letters[4].ID(), letters[3].Header.Get("In-Reply-To"))
	}
	s.Quiet()
	if dead := adQueue(t, s).Dead; dead != 0 {
		t.Errorf("%d dead letters, want none", dead)
	}
}

func adQueue(t *testing.T, s *blackbox.Shop) queue.Stats {
	t.Helper()
	for _, q := range s.Queues() {
		if q.Queue == restock.AdQueue {
			return q
		}
	}
	t.Fatal("there is no ad queue")
	return queue.Stats{}
}

// TestARefusedMailIsADeadLetterWithTheServersWords, and is sent once the mailbox
// is there.
func TestARefusedMailIsADeadLetterWithTheServersWords(t *testing.T) {
	t.Parallel()
	post := blackbox.OpenPost(t, false)
	s := shop(t, post, restock.Korean)
	post.Plan(manager, blackbox.RefusesIt)
	sellOut(t, s)
	awaitTold(t, post, "no such mailbox here")
	var page struct {
		Items []struct {
			ID    string `json:"message_id"`
			Error string `json:"last_error"`
		} `json:"items"`
	}
	s.Get("/v1/dead-letters", &page)
	if len(page.Items) != 1 || !strings.Contains(page.Items[0].Error, "550 5.1.1 no such mailbox here") || !strings.Contains(page.Items[0].Error, manager) {
		t.Fatalf("dead letters %+v, want one with the server's words", page.Items)
	}
	if a, err := s.Operate(http.MethodPost, "/v1/dead-letters/"+page.Items[0].ID+"/redrive", ""); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the redrive was answered with %+v, %v", a, err)
	}
	post.Await(t, manager, 1)
	awaitHold(s, "the mail is sent", func(h hold) bool { return h.State == restock.AdHoldStopped })
}

// TestSalesDoNotWaitForMail sells while the mail server holds a letter and says
// nothing: it is let go only after the last sale. On a machine so slow that who sent
// the letter gives up before, it sells until then.
func TestSalesDoNotWaitForMail(t *testing.T) {
	t.Parallel()
	post := blackbox.OpenPost(t, true)
	s := shop(t, post, restock.Korean)
	post.Plan(manager, blackbox.HoldsTheEnd)
	sellOut(t, s)
	awaitHold(s, "the mail is on its way", func(h hold) bool { return h.State == restock.AdHoldStopping })
	s.Until("the mail server holds the letter", func() bool { return post.Begun(manager) > 0 })
	held := func() bool { return post.Begun(manager) == 1 }
	const sales, salesLeast = 200, 10
	if a, err := s.Operate(http.MethodPost, "/v1/adjustments", `{"sku":"AD","counted":200,"reason":"found"}`); err != nil || a.Status != http.StatusCreated {
		t.Fatalf("the stocktake was answered with %+v, %v", a, err)
	}
	sold := 0
	for ; sold < sales && held(); sold++ {
		if a, err := s.Buy(`{"sku":"AD"}`); err != nil || a.Status != http.StatusOK {
			t.Fatalf("a purchase was answered with %+v, %v", a, err)
		}
	}
	if sold < salesLeast {
		t.Errorf("%d were sold while the mail server held a letter, want %d at least", sold, salesLeast)
	}
	if n := len(post.To(manager)); n != 0 && held() {
		t.Errorf("%d letters arrived while the server held the first", n)
	}
	if a, err := s.Operate(http.MethodPost, "/v1/adjustments", `{"sku":"AD","counted":0,"reason":"gone"}`); err != nil || a.Status != http.StatusCreated {
		t.Fatalf("the stocktake was answered with %+v, %v", a, err)
	}
	post.Release()
	awaitHold(s, "the last mail is true", func(h hold) bool { return h.State == restock.AdHoldStopped && !h.Stop.Mail.SentAt.IsZero() })
	letters := post.To(manager)
	if last := letters[len(letters)-1]; !strings.Contains(last.Subject, "중지") {
		t.Errorf("the last letter is %q", last.Subject)
	}
}

// TestCrossingsAreSpacedAndTheLastMailIsTrue crosses zero again and again.
func TestCrossingsAreSpacedAndTheLastMailIsTrue(t *testing.T) {
	t.Parallel()
	const spacing = 3 * time.Second
	crossings := 100
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		crossings = 1000
	}
	for _, endsOut := range []bool{true, false} {
		t.Run(fmt.Sprintf("out at the end %t", endsOut), func(t *testing.T) {
			t.Parallel()
			post := blackbox.OpenPost(t, true)
			s := shop(t, post, restock.English, "--ad-spacing", spacing.String())
			count := func(n int) {
				t.Helper()
				if a, err := s.Operate(http.MethodPost, "/v1/adjustments", fmt.Sprintf(`{"sku":"AD","counted":%d,"reason":"a crossing"}`, n)); err != nil || a.Status != http.StatusCreated {
					t.Fatalf("the stocktake was answered with %+v, %v", a, err)
				}
			}
			for i := range crossings {
				count(i % 2)
			}
			count(0)
			if !endsOut {
				count(5)
			}
			state := map[bool]restock.AdHoldState{true: restock.AdHoldStopped, false: restock.AdHoldResumed}[endsOut]
			s.Until("the last mail is true", func() bool {
				s.Quiet()
				all := holds(s)
				return len(all) > 0 && all[0].State == state
			})
			var stops []time.Time
			told := ""
			for _, l := range post.To(manager) {
				kind, _, _ := strings.Cut(strings.Trim(l.ID(), "<>"), ".")
				if kind == told {
					t.Errorf("%s is told twice in a row", kind)
				}
				if told = kind; kind != "ad-stop" {
					continue
				}
				at, err := l.Header.Date()
				if err != nil {
					t.Fatal(err)
				}
				stops = append(stops, at)
			}
			for i := 1; i < len(stops); i++ {
				const second = time.Second // dates have no fractions
				if gap := stops[i].Sub(stops[i-1]); gap < spacing-second {
					t.Errorf("two mails to stop are %s apart, want %s", gap, spacing)
				}
			}
			if want := map[bool]string{true: "ad-stop", false: "ad-resume"}[endsOut]; told != want {
				t.Errorf("the last mail is %s, want %s", told, want)
			}
			t.Logf("%d crossings, %d mails", crossings, len(post.To(manager)))
		})
	}
}
