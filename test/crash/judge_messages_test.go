package crash_test

import (
	"fmt"
	"strings"
)

// told counts the messages of a type by what they are about.
func (j *judge) told(kind string, about func(messageRow) string) map[string]int {
	n := map[string]int{}
	for _, m := range j.books.messages {
		if m.kind == kind {
			n[about(m)]++
		}
	}
	return n
}

func ofStockout(m messageRow) string { return m.stockout }
func ofProduct(m messageRow) string  { return m.product }
func ofOrder(m messageRow) string    { return m.order }
func ofReceipt(m messageRow) string  { return m.receipt }

// stockoutsTold: every stockout has one stock.out, and one stock.back once it
// is over; and every time that the ledger reaches or leaves zero, there is one.
func (j *judge) stockoutsTold() []string {
	out, back := j.told("stock.out", ofStockout), j.told("stock.back", ofStockout)
	var bad []string
	for _, s := range j.books.stockouts {
		if out[s.id] != 1 {
			bad = append(bad, fmt.Sprintf("stockout %s of %s has %d stock.out", s.id, j.books.sku(s.product), out[s.id]))
		}
		if want := map[bool]int{true: 1}[s.closed]; back[s.id] != want {
			bad = append(bad, fmt.Sprintf("stockout %s of %s has %d stock.back, want %d", s.id, j.books.sku(s.product), back[s.id], want))
		}
	}
	return append(bad, j.crossingsTold()...)
}

func (j *judge) crossingsTold() []string {
	emptied, refilled, last := map[string]int{}, map[string]int{}, map[string]int64{}
	for _, m := range j.books.movements {
		switch was := last[m.product]; {
		case was > 0 && m.onHandAfter == 0:
			emptied[m.product]++
		case was == 0 && m.onHandAfter > 0 && m.kind != "opening":
			refilled[m.product]++
		}
		last[m.product] = m.onHandAfter
	}
	out, back := j.told("stock.out", ofProduct), j.told("stock.back", ofProduct)
	var bad []string
	for _, p := range j.books.products {
		if emptied[p.id] != out[p.id] || refilled[p.id] != back[p.id] {
			bad = append(bad, fmt.Sprintf("%s was emptied %d times and refilled %d times, and has %d stock.out and %d stock.back",
				p.sku, emptied[p.id], refilled[p.id], out[p.id], back[p.id]))
		}
	}
	return bad
}

// ordersTold: every order was decided, and at least one stock.low of its
// product stands behind each: the position has to fall anew for the next one.
// An order that was tried again, or is held, was told to operations.
func (j *judge) ordersTold() []string {
	decided := map[string]int{}
	for _, id := range j.books.decided {
		decided[id]++
	}
	overdue, held := j.told("order.overdue", ofOrder), j.told("order.held", ofOrder)
	orders := map[string]int{}
	var bad []string
	for _, o := range j.books.orders {
		orders[o.product]++
		complain := func(format string, args ...any) {
			bad = append(bad, fmt.Sprintf("order %s of %s ", o.id, j.books.sku(o.product))+fmt.Sprintf(format, args...))
		}
		if decided[o.id] != 1 {
			complain("has %d decisions", decided[o.id])
		}
		if o.attempts > 1 && overdue[o.id] == 0 {
			complain("has %d attempts and no order.overdue", o.attempts)
		}
		if o.state == "held" && held[o.id] == 0 {
			complain("is held and has no order.held")
		}
	}
	low := j.told("stock.low", ofProduct)
	for product, n := range orders {
		if low[product] < n {
			bad = append(bad, fmt.Sprintf("%s was ordered %d times and has %d stock.low", j.books.sku(product), n, low[product]))
		}
	}
	return bad
}

func (j *judge) receiptsTold() []string {
	told := j.told("receipt.held", ofReceipt)
	var bad []string
	for _, r := range j.books.receipts {
		if r.state == "held" && told[r.id] == 0 {
			bad = append(bad, fmt.Sprintf("receipt %s of attempt %s is held and has no receipt.held", r.id, r.key))
		}
	}
	return bad
}

// messagesKept: every message is on the queue that it belongs to, and there it
// is waiting, done or dead.
func (j *judge) messagesKept() []string {
	queues := map[string]string{"stock.low": "stock-queue", "stock.out": "ad-queue", "stock.back": "ad-queue", "ad.due": "ad-queue"}
	found := map[string]int{}
	for _, d := range j.books.deliveries {
		if d.state == "waiting" || d.state == "done" || d.state == "dead" {
			found[d.message+d.queue]++
		}
	}
	var bad []string
	for _, m := range j.books.messages {
		queue, ok := queues[m.kind]
		if !ok {
			queue = "ops-queue"
		}
		if found[m.id+queue] != 1 {
			bad = append(bad, fmt.Sprintf("message %s (%s of %s) is not on %s", m.id, m.kind, m.subject, queue))
		}
	}
	return bad
}

// The first part of the Message-IDs, by the kind of mail. In mails to ad
// managers the hold follows.
const (
	stopMail   = "ad-stop"
	resumeMail = "ad-resume"
	opsMail    = "ops-alert"
)

// adMails gives the mails of each hold, and of each advertisement, in the order
// in which they came.
func (j *judge) adMails() (byHold, byAd map[string][]string) {
	ads := map[string]string{}
	for _, h := range j.books.holds {
		ads[h.id] = h.ad
	}
	byHold, byAd = map[string][]string{}, map[string][]string{}
	for _, l := range j.mailbox.letters {
		name, _, _ := strings.Cut(l.id, "@")
		if kind, id, ok := strings.Cut(name, "."); ok && (kind == stopMail || kind == resumeMail) {
			hold := plainID(id)
			byHold[hold] = append(byHold[hold], kind)
			byAd[ads[hold]] = append(byAd[ads[hold]], kind)
		}
	}
	return byHold, byAd
}

// mailsSent: a mail that the books call sent was taken by the mail server, and
// there is none of a hold that they do not know.
func (j *judge) mailsSent() []string {
	mails, byAd := j.adMails()
	bad := append([]string(nil), j.mailbox.strange...)
	for _, kind := range byAd[""] {
		bad = append(bad, fmt.Sprintf("a mail %s is of no hold", kind))
	}
	for _, h := range j.books.holds {
		got := map[string]bool{}
		for _, kind := range mails[h.id] {
			got[kind] = true
		}
		if h.stopSent && !got[stopMail] || h.state == "stopped" && !got[stopMail] {
			bad = append(bad, fmt.Sprintf("hold %s is %s, and its mail to stop never came", h.id, h.state))
		}
		if h.resumeSent && !got[resumeMail] {
			bad = append(bad, fmt.Sprintf("hold %s is %s, and its mail to resume never came", h.id, h.state))
		}
	}
	return bad
}

// repeatedMailsAreTheSame: a mail that came twice is the same mail. A mail to
// operations leaves out in its repeat what solved itself meanwhile; its date
// still is the same.
func (j *judge) repeatedMailsAreTheSame() []string {
	first := map[string]letter{}
	var bad []string
	for _, l := range j.mailbox.letters {
		before, ok := first[l.id]
		if !ok {
			first[l.id] = l
			continue
		}
		if strings.HasPrefix(l.id, opsMail) {
			l.content, before.content = "", ""
		}
		if l != before {
			bad = append(bad, fmt.Sprintf("mail %s came twice and differs:\n%s\n--- and then ---\n%s", l.id, before.content, l.content))
		}
	}
	return bad
}

// lastMailIsTrue: when the messages of a product are handled, the last mail about
// its advertisement says what is so. An advertisement must not be left stopped.
func (j *judge) lastMailIsTrue() []string {
	_, mails := j.adMails()
	handled := j.handledProducts()
	var bad []string
	for _, ad := range j.books.ads {
		got := mails[ad.id]
		if !handled[ad.product] || ad.out && ad.heldBack {
			continue
		}
		want := resumeMail
		if ad.out {
			want = stopMail
		}
		switch {
		case len(got) == 0 && !ad.out: // it was over before anybody was told
		case len(got) == 0 || got[len(got)-1] != want:
			bad = append(bad, fmt.Sprintf("advertisement %s of %s: the mails were %v, the last must be %s", ad.name, j.books.sku(ad.product), got, want))
		}
	}
	return bad
}

// handledProducts are those whose messages about advertising are all there and
// all done. What is missing is complained of by stockoutsTold; it is not a second
// fault here.
func (j *judge) handledProducts() map[string]bool {
	state := map[string]string{}
	for _, d := range j.books.deliveries {
		state[d.message] = d.state
	}
	handled, messages := map[string]bool{}, map[string]int{}
	for _, p := range j.books.products {
		handled[p.id] = true
	}
	for _, m := range j.books.messages {
		if m.kind != "stock.out" && m.kind != "stock.back" && m.kind != "ad.due" {
			continue
		}
		messages[m.stockout+m.kind]++
		if state[m.id] != "done" {
			handled[m.product] = false
		}
	}
	for _, s := range j.books.stockouts {
		if messages[s.id+"stock.out"] == 0 || s.closed && messages[s.id+"stock.back"] == 0 {
			handled[s.product] = false
		}
	}
	return handled
}
