package ops_test

import (
	"bytes"
	"context"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/store"
)

// gate is a mail server that refuses an address for good, or for now.
type gate struct {
	*outbox

	refused string
	err     error
}

func (g *gate) Send(ctx context.Context, m mail.Message) error {
	if m.To == g.refused {
		return g.err
	}
	return g.outbox.Send(ctx, m)
}

// bought is an office whose catalogue names a buyer.
func bought(t *testing.T, g *gate) (*desk, *ops.Office) {
	t.Helper()
	d, _ := staffed(t)
	c := restock.Catalog{BuyerEmail: "buyer@donut.example"}
	c.Fill()
	_, err := d.store.ApplyCatalog(t.Context(), c, store.CreateAndEdit)
	d.must(err)
	g.outbox = d.box
	return d, ops.New(officeStore{d.store}, d.store.Queue(), g, ops.Config{
		From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example", Now: d.clock.now,
	})
}

func to(mails []mail.Message) []string {
	var all []string
	for _, m := range mails {
		all = append(all, m.To+": "+m.Subject)
	}
	return all
}

func TestTheBuyerHearsOfRefusedOrdersBesideOperations(t *testing.T) {
	t.Parallel()
	d, office := bought(t, &gate{})
	id := d.refused().String()
	d.problem(1, "body")
	d.must(office.Tell(t.Context()))
	mails := d.box.sent()
	if diff := cmp.Diff([]string{"ops@donut.example: restock: 2 problems need a look", "buyer@donut.example: restock: order held CP-1"}, to(mails)); diff != "" {
		t.Fatalf("mails (-want +got):\n%s", diff)
	}
	if !strings.Contains(mails[1].Text, id) || strings.Contains(mails[1].Text, "receipt") || mails[0].ID == mails[1].ID {
		t.Errorf("the buyer is told:\n%s", mails[1].Text)
	}
	if mails[0].ReplyTo != "" || mails[1].ReplyTo != "ops@donut.example" {
		t.Errorf("replies go to %q and %q, want those of the buyer to operations", mails[0].ReplyTo, mails[1].ReplyTo)
	}
	d.must(office.Tell(t.Context()))
	if n := len(d.box.sent()); n != 2 {
		t.Errorf("%d mails after that, want no other", n)
	}
}

func TestNeitherOfOperationsAndTheBuyerWaitsForTheOther(t *testing.T) {
	t.Parallel()
	for away, there := range map[string]string{"ops@donut.example": "buyer@donut.example", "buyer@donut.example": "ops@donut.example"} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			g := &gate{refused: away, err: restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "try again later")}
			d, office := bought(t, g)
			d.refused()
			for range 3 {
				if err := office.Tell(t.Context()); err == nil {
					t.Errorf("%s was told, though its server does not take it", away)
				}
			}
			if diff := cmp.Diff([]string{there + ": restock: order held CP-1"}, to(d.box.sent())); diff != "" {
				t.Errorf("mails while %s is away (-want +got):\n%s", away, diff)
			}
			g.refused = ""
			d.must(office.Tell(t.Context()))
			if diff := cmp.Diff([]string{there + ": restock: order held CP-1", away + ": restock: order held CP-1"}, to(d.box.sent())); diff != "" {
				t.Errorf("mails (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAMailboxThatIsAwayKeepsNoLaterProblemFromTheOther: operations hear of each
// problem while the buyer's server says 4xx, and the buyer while theirs does; what
// waited comes when the server takes mails again.
func TestAMailboxThatIsAwayKeepsNoLaterProblemFromTheOther(t *testing.T) {
	t.Parallel()
	for away, there := range map[string]string{"ops@donut.example": "buyer@donut.example", "buyer@donut.example": "ops@donut.example"} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			g := &gate{refused: away, err: restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "451 greylisted")}
			d, office := bought(t, g)
			c := restock.Catalog{Factories: []restock.CatalogFactory{{Identifier: "FF-1", URL: "http://127.0.0.1:4000/", RatePerSecond: 1e6}}}
			for _, sku := range []restock.SKU{"CP-1", "CP-2", "CP-3"} {
				c.Products = append(c.Products, restock.CatalogProduct{SKU: sku, Name: "도너츠", OrderQuantity: 10, Factory: "FF-1"})
			}
			c.Fill()
			_, err := d.store.ApplyCatalog(t.Context(), c, store.CreateMissing)
			d.must(err)
			var want []string
			for _, p := range c.Products {
				d.refusedOf(p.SKU)
				if err := office.Tell(t.Context()); err == nil || !strings.Contains(err.Error(), away+": ") {
					t.Errorf("error %v, want that %s was not reached", err, away)
				}
				want = append(want, there+": restock: order held "+string(p.SKU))
				if diff := cmp.Diff(want, to(d.box.sent())); diff != "" {
					t.Fatalf("mails while %s is away (-want +got):\n%s", away, diff)
				}
				d.clock.advance(time.Hour)
			}
			g.refused = ""
			for range 3 {
				d.must(office.Tell(t.Context()))
			}
			several := "2 problems"
			if away == "buyer@donut.example" {
				several = "2 orders"
			}
			want = append(want, away+": restock: order held CP-1", away+": restock: "+several+" need a look")
			if diff := cmp.Diff(want, to(d.box.sent())); diff != "" {
				t.Errorf("mails in the end (-want +got):\n%s", diff)
			}
		})
	}
}

// TestACopyThatIsRefusedForGoodGoesToOperationsWithItsWords, once, and they hear
// of the order in their own mail.
func TestACopyThatIsRefusedForGoodGoesToOperationsWithItsWords(t *testing.T) {
	t.Parallel()
	d, office := bought(t, &gate{
		refused: "buyer@donut.example", err: restock.Errorf(restock.Invalid, restock.CodeInvalid, "550 5.1.1 no such mailbox"),
	})
	d.refused()
	d.must(office.Tell(t.Context()))
	d.must(office.Tell(t.Context()))
	mails := d.box.sent()
	if diff := cmp.Diff([]string{
		"ops@donut.example: restock: order held CP-1", "ops@donut.example: restock: order held CP-1 (refused by buyer@donut.example)",
	}, to(mails)); diff != "" {
		t.Fatalf("mails (-want +got):\n%s", diff)
	}
	if !strings.Contains(mails[1].Text, "550 5.1.1 no such mailbox") || mails[0].ID == mails[1].ID {
		t.Errorf("operations are told:\n%s", mails[1].Text)
	}
}

// TestTheBuyersServerHoldsNoMailToOperationsBack runs both loops, with a server of
// the buyer that hangs.
func TestTheBuyersServerHoldsNoMailToOperationsBack(t *testing.T) {
	t.Parallel()
	d, _ := bought(t, &gate{})
	h := hanging{outbox: d.box, to: "buyer@donut.example", hangs: make(chan struct{}, 1)}
	office := ops.New(officeStore{d.store}, d.store.Queue(), h, ops.Config{
		From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example", Now: d.clock.now, AlertInterval: time.Millisecond,
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var loops sync.WaitGroup
	d.refused()
	loops.Go(func() { d.must(office.RunBuyer(ctx)) })
	<-h.hangs
	sent := make(chan struct{})
	d.box.notify(sent)
	loops.Go(func() { d.must(office.RunAlerts(ctx)) })
	<-sent
	stop()
	loops.Wait()
	if diff := cmp.Diff([]string{"ops@donut.example: restock: order held CP-1"}, to(d.box.sent())); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// hanging is a mail server that does not answer about an address.
type hanging struct {
	*outbox

	to    string
	hangs chan struct{}
}

func (h hanging) Send(ctx context.Context, m mail.Message) error {
	if m.To != h.to {
		return h.outbox.Send(ctx, m)
	}
	h.hangs <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestWhatTheBuyersServerRefusesGoesToOperationsWithItsWords(t *testing.T) {
	t.Parallel()
	d, office := bought(t, &gate{
		refused: "buyer@donut.example", err: restock.Errorf(restock.Invalid, restock.CodeInvalid, "550 5.1.1 no such\r\nmailbox"),
	})
	id := d.awaiting().String()
	d.must(office.Tell(t.Context()))
	mails := d.box.sent()
	if diff := cmp.Diff([]string{"ops@donut.example: restock: order awaits approval CP-1 (refused by buyer@donut.example)"}, to(mails)); diff != "" {
		t.Fatalf("mails (-want +got):\n%s", diff)
	}
	for _, want := range []string{"550 5.1.1 no such mailbox", "restock catalog apply", "restock orders approve " + id} {
		if !strings.Contains(mails[0].Text, want) {
			t.Errorf("operations are not told %q:\n%s", want, mails[0].Text)
		}
	}
	d.must(office.Tell(t.Context()))
	if n := len(d.box.sent()); n != 1 {
		t.Errorf("%d mails after that, want no other", n)
	}
}

// FuzzAlert shows that no words of strangers, such as a factory's answer or a
// product's name, add a line to a mail for operations, or turn one around.
func FuzzAlert(f *testing.F) {
	for _, words := range []string{
		"donut", "a\r\nBcc: everybody@donut.example\r\n\r\nb", "x\n  approve: rm -rf /", "<script>", "\u202egnp", "\u2066x", "\u2028y", "\x00\x1b[2J", "\xff",
		strings.Repeat("도", 10_000), "=?utf-8?q?x?=",
	} {
		f.Add(words, words, words)
	}
	office := ops.New(nil, nil, nil, ops.Config{From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example"})
	write := func(t testing.TB, sku, subject, summary string) (mail.Message, *netmail.Message) {
		t.Helper()
		m := office.MailOf(restock.Digest{
			ID: restock.DigestID{1}, Audience: restock.Operations, CreatedAt: time.Unix(1_800_000_000, 0), Total: 2,
			Problems: []restock.Problem{
				{Kind: restock.ProblemRefusals, ID: "1", SKU: restock.SKU(sku), Subject: subject, Summary: summary, Count: 1},
				{Kind: restock.ProblemQueueOld, ID: "2", Subject: subject, Summary: summary, Count: 1},
			},
			Recovered: []restock.Recovery{{Kind: restock.IncidentEngineAway, Subject: subject}},
		})
		raw, err := mail.Bytes(m)
		if err != nil {
			t.Fatalf("it cannot be sent: %v", err)
		}
		parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("it cannot be read: %v", err)
		}
		return m, parsed
	}
	plain, plainParsed := write(f, "CP-1", "ad-queue", "it waits")
	f.Fuzz(func(t *testing.T, sku, subject, summary string) {
		m, parsed := write(t, sku, subject, summary)
		if len(parsed.Header) != len(plainParsed.Header) {
			t.Errorf("%d headers, want %d: %v", len(parsed.Header), len(plainParsed.Header), parsed.Header)
		}
		if got, want := strings.Count(m.Text, "\n"), strings.Count(plain.Text, "\n"); got != want {
			t.Errorf("%d lines, want %d:\n%s", got, want, m.Text)
		}
		if strings.ContainsFunc(m.Text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("control characters, or words that turn others around:\n%q", m.Text)
		}
		const most = 10_000
		if n := len([]rune(m.Text)); n > most {
			t.Errorf("the mail has %d characters", n)
		}
	})
}
