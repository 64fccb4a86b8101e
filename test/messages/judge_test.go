package messages_test

import (
	"context"
	"slices"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

// judge says what is wrong, from what others have: the mails that the mail
// server took, the orders at the factory, the rows of the database, and what was
// said on the roads.
type judge struct {
	*rows

	stats   []driver.Stats
	w       *world
	letters []letter
	again   map[string]bool
	handled map[driver.ID]bool    // counted as done on its queue
	mails   map[string][]mailed   // by the product of the advertisement
	ofOuts  map[string]messageRow // the stock.out of a stockout
	ofBacks map[string]messageRow
}

// mailed is a mail about a hold.
type mailed struct {
	kind, hold string
	event      int
}

// The first part of the Message-IDs, by the kind of mail. In mails to ad
// managers the hold follows.
const (
	stopMail   = "ad-stop"
	resumeMail = "ad-resume"
)

// judge looks at everything, when it is quiet.
func (w *world) judge(ctx context.Context) error {
	all, err := readRows(ctx, w.rows)
	if err != nil {
		return err
	}
	stats, err := w.store.Queue().Stats(ctx)
	if err != nil {
		return err
	}
	j := &judge{
		rows: all, stats: stats, w: w, handled: map[driver.ID]bool{}, mails: map[string][]mailed{},
		ofOuts: map[string]messageRow{}, ofBacks: map[string]messageRow{},
	}
	j.letters, j.again = w.mailbox.all()
	j.nothingIsMissing()
	j.messagesFollowTheStock()
	j.readMails()
	j.whoHadToBeToldWas()
	j.noMailCameTwice()
	j.theLastMailIsTrue()
	j.ordersFollowTheMessages()
	j.operationsWereTold()
	return nil
}

func (j *judge) broken(promise string, of subject, format string, args ...any) {
	j.w.book.broken(promise, of, format, args...)
}

// about is a stockout with its messages, and the mails of the holds that began
// with it.
func (j *judge) about(s stockoutRow) subject {
	words := []string{j.w.book.names[j.ofOuts[s.id].id], j.w.book.names[j.ofBacks[s.id].id]}
	for _, h := range j.holds {
		if h.stockout == s.id {
			words = append(words, h.id)
		}
	}
	return about(s.sku, slices.DeleteFunc(words, func(word string) bool { return word == "" })...)
}

// nothingIsMissing: every message that was published is handled or a dead letter
// of its queue, now that it is quiet, and was counted as handled only after
// somebody said so.
func (j *judge) nothingIsMissing() {
	for _, s := range j.stats {
		if s.Missing() != 0 {
			j.broken("I5", about(""), "every message is handled, waiting, in flight or dead-lettered: %s misses %d: %+v", s.Queue, s.Missing(), s)
		}
	}
	for _, m := range j.messages {
		queue, _ := restock.EventType(m.kind).Queue()
		at := onQueue{queue, m.id}
		state, known := j.deliveries[at]
		said := j.w.book.done[at] > 0
		switch {
		case j.w.broker != nil && state != "dead":
			j.handled[m.id] = said
		case state == "done" && !said:
			j.broken("I5", about(m.subject, j.w.book.names[m.id]), "a message that was not handled is not counted as done: %s is done, and nobody said so", j.w.book.names[m.id])
		default:
			j.handled[m.id] = state == "done"
		}
		if !j.handled[m.id] && state != "dead" {
			j.broken("I5", about(m.subject, j.w.book.names[m.id]), "every message is handled, waiting, in flight or dead-lettered: %s of %s (%s) is %q on %s (known there: %t), and %q on %s, though it is quiet",
				m.kind, m.subject, m.id, state, queue, known, j.deliveries[onQueue{restock.RelayQueue, m.id}], restock.RelayQueue)
		}
	}
}

// messagesFollowTheStock: a stockout has its message, and so has its end.
func (j *judge) messagesFollowTheStock() {
	outs, backs := map[string]int{}, map[string]int{}
	for _, m := range j.messages {
		switch restock.EventType(m.kind) {
		case restock.StockOut:
			outs[m.stockout]++
			j.ofOuts[m.stockout] = m
		case restock.StockBack:
			backs[m.stockout]++
			j.ofBacks[m.stockout] = m
		}
	}
	for _, s := range j.stockouts {
		want := map[bool]int{true: 1}[s.closed]
		if outs[s.id] != 1 || backs[s.id] != want {
			j.broken("I5", j.about(s), "a state change and its message commit together: a stockout of %s has %d stock.out and %d stock.back, want 1 and %d",
				s.sku, outs[s.id], backs[s.id], want)
		}
		if s.closed && j.w.book.doneAt[j.ofBacks[s.id].id] < j.w.book.doneAt[j.ofOuts[s.id].id] {
			j.w.tally.count(backFirst)
		}
	}
}

// readMails sorts the mails to ad managers by the products of their advertisements.
func (j *judge) readMails() {
	for _, l := range j.letters {
		if kind, hold := readID(l.id); kind == stopMail || kind == resumeMail {
			j.mails[skuOf(l.to)] = append(j.mails[skuOf(l.to)], mailed{kind, hold, l.event})
		}
	}
}

// readID gives the kind of a mail and the hold that it is about.
func readID(messageID string) (kind, hold string) {
	name, _, _ := strings.Cut(messageID, "@")
	kind, hold, _ = strings.Cut(name, ".")
	return kind, plainID(hold)
}

// lastStockouts are the last of each product that was ever sold out.
func (j *judge) lastStockouts() map[string]stockoutRow {
	last := map[string]stockoutRow{}
	for _, s := range j.stockouts {
		last[s.sku] = s
	}
	return last
}

// allHandled reports whether all messages about advertising a product are handled.
func (j *judge) allHandled(sku string) bool {
	for _, m := range j.messages {
		if queue, _ := restock.EventType(m.kind).Queue(); queue == restock.AdQueue && m.subject == sku && !j.handled[m.id] {
			return false
		}
	}
	return true
}

// whoHadToBeToldWas: messages are done only when who had to be told of them was,
// also when the last that was told is of an earlier stockout.
func (j *judge) whoHadToBeToldWas() {
	for sku, s := range j.lastStockouts() {
		if !j.allHandled(sku) {
			continue
		}
		if !s.closed && j.told(sku) != stopMail {
			j.broken("I5", j.about(s), "who had to be told was told: %s is out of stock, all its messages are done, and its manager was told last %q; the holds are %+v",
				sku, j.told(sku), j.holdsOf(sku))
		}
		if state := j.lastState(sku); state == restock.AdHoldStopping || state == restock.AdHoldResuming {
			j.broken("I5", j.about(s), "who had to be told was told: all messages about %s are done, and nobody knows whether a mail arrived; the holds are %+v", sku, j.holdsOf(sku))
		}
	}
}

// lastState is that of the open hold of a product's advertisement; "" without one.
func (j *judge) lastState(sku string) restock.AdHoldState {
	for _, h := range j.holdsOf(sku) {
		if state := restock.AdHoldState(h.state); state.Open() {
			return state
		}
	}
	return ""
}

// told is the kind of the last mail about a product.
func (j *judge) told(sku string) string {
	last := ""
	for _, m := range j.mails[sku] {
		last = m.kind
	}
	return last
}

func (j *judge) holdsOf(sku string) []holdRow {
	return slices.DeleteFunc(slices.Clone(j.holds), func(h holdRow) bool { return h.sku != sku })
}

// noMailCameTwice: nobody crashed, so a mail comes a second time only when its
// sender did not hear that the server took the first. That answer can get lost in
// many ways, also because a slow machine comes to it too late.
func (j *judge) noMailCameTwice() {
	told := map[string]bool{}
	for _, l := range j.letters {
		if !j.again[l.id] || told[l.id] {
			continue
		}
		told[l.id] = true
		_, hold := readID(l.id)
		j.broken("I4", about(skuOf(l.to), hold), "one effect for each message: mail %s to %s came again, though the server had said that it took it", l.id, l.to)
	}
}

// theLastMailIsTrue: no advertisement is left stopped whose stock is back. No mail
// to stop comes after the one to resume of the same stop, and none after the end
// of the product's last stockout was handled.
func (j *judge) theLastMailIsTrue() {
	last := j.lastStockouts()
	for sku, mails := range j.mails {
		s := last[sku]
		back := j.ofBacks[s.id]
		if s.closed && j.allHandled(sku) && j.told(sku) == stopMail && j.lastState(sku) != restock.AdHoldResuming {
			j.broken("I8", about(sku), "the last mail is true: the advertisement of %s is left stopped, though its stock is back; the holds are %+v", sku, j.holdsOf(sku))
		}
		resumed := map[string]bool{} // holds
		for _, m := range mails {
			switch {
			case m.kind == resumeMail:
				resumed[m.hold] = true
			case resumed[m.hold]:
				j.broken("I8", about(sku, m.hold), "nothing goes backwards: of one stop of the advertisement of %s the mail to stop came after the one to resume", sku)
			case s.closed && j.handled[back.id] && m.event > j.w.book.doneAt[back.id]:
				j.broken("I8", j.about(s), "the last mail is true: a mail to stop the advertisement of %s came after the end of its last stockout was handled", sku)
			}
		}
	}
}

// ordersFollowTheMessages: what is low and was told is ordered, and once each
// time.
func (j *judge) ordersFollowTheMessages() {
	told, open := map[string]int{}, map[string]int{}
	for _, m := range j.messages {
		if m.kind == string(restock.StockLow) {
			told[m.subject]++
			if !j.handled[m.id] {
				open[m.subject]++
			}
		}
	}
	for _, p := range j.products {
		if p.low && open[p.sku] == 0 {
			j.broken("I5", about(p.sku, "stock.low", "factory"), "a message that was not handled is not counted as done: %s is low without an order, and all its %d stock.low are done", p.sku, told[p.sku])
		}
		if p.orders > told[p.sku] {
			j.broken("I4", about(p.sku, "stock.low", "factory"), "one order for each time that stock is low: %s was low %d times and ordered %d times", p.sku, told[p.sku], p.orders)
		}
	}
}

// operationsWereTold: of each dead letter, alone or as one of its kind, and of
// each order that waits for a person.
func (j *judge) operationsWereTold() {
	var told strings.Builder
	for _, l := range j.letters {
		if skuOf(l.to) == "" {
			told.WriteString(l.text)
		}
	}
	text := plainID(told.String())
	for _, m := range j.messages {
		queue, _ := restock.EventType(m.kind).Queue()
		ofItsKind := plainID("dead list --queue " + queue + " --type " + m.kind)
		if j.deliveries[onQueue{queue, m.id}] == "dead" && !strings.Contains(text, plainID(m.id.String())) && !strings.Contains(text, ofItsKind) {
			j.broken("I5", about(m.subject, j.w.book.names[m.id]), "who had to be told was told: no mail to operations names the dead letter %s (%s of %s)", m.id, m.kind, m.subject)
		}
	}
	for _, h := range j.held {
		if !strings.Contains(text, h.id) {
			j.broken("I5", about(h.sku), "who had to be told was told: no mail to operations names the held order %s", h.id)
		}
	}
}
