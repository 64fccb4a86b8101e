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
	unsaid  map[string]int
	handled map[driver.ID]bool // counted as done on its queue
	mails   map[string][]mailed
	ofOuts  map[string]messageRow // the stock.out of a stockout
	ofBacks map[string]messageRow
}

// mailed is a mail about a hold.
type mailed struct {
	kind  string
	event int
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
	j.letters, j.unsaid = w.mailbox.all()
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

// about is a stockout with its messages and mails.
func (j *judge) about(s stockoutRow) subject {
	words := []string{j.w.book.names[j.ofOuts[s.id].id], j.w.book.names[j.ofBacks[s.id].id], s.hold}
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

// readMails sorts the mails to ad managers by their holds.
func (j *judge) readMails() {
	for _, l := range j.letters {
		if kind, hold := readID(l.id); kind == stopMail || kind == resumeMail {
			j.mails[hold] = append(j.mails[hold], mailed{kind, l.event})
		}
	}
}

// readID gives the kind of a mail and the hold that it is about.
func readID(messageID string) (kind, hold string) {
	name, _, _ := strings.Cut(messageID, "@")
	kind, hold, _ = strings.Cut(name, ".")
	return kind, plainID(hold)
}

// got reports whether a mail of a kind came about a stockout.
func (j *judge) got(s stockoutRow, kind string) bool {
	for _, m := range j.mails[s.hold] {
		if s.hold != "" && m.kind == kind {
			return true
		}
	}
	return false
}

// whoHadToBeToldWas: a message is done only when who had to be told of it was.
func (j *judge) whoHadToBeToldWas() {
	for _, s := range j.stockouts {
		out, back := j.ofOuts[s.id], j.ofBacks[s.id]
		switch {
		case !s.closed && j.handled[out.id] && !j.got(s, stopMail):
			j.broken("I5", j.about(s), "who had to be told was told: %s is out of stock and its stock.out done, and the mail to stop never came; its hold is %q", s.sku, s.state)
		case s.closed && j.handled[back.id] && s.state == string(restock.AdHoldResuming) && !j.got(s, resumeMail):
			j.broken("I5", j.about(s), "who had to be told was told: %s is back and its stock.back done, and the mail to resume never came", s.sku)
		}
	}
}

// noMailCameTwice: nobody crashed, so a mail comes a second time only when the
// server did not say that it took the first.
func (j *judge) noMailCameTwice() {
	count, of := map[string]int{}, map[string]stockoutRow{}
	for _, s := range j.stockouts {
		of[s.hold] = s
	}
	for _, l := range j.letters {
		if count[l.id]++; count[l.id] == j.unsaid[l.id]+2 {
			_, hold := readID(l.id)
			j.broken("I4", j.about(of[hold]), "one effect for each message: mail %s to %s came again, though the server had said that it took it", l.id, l.to)
		}
	}
}

// theLastMailIsTrue: no advertisement is left stopped whose stock is back, and
// no mail to stop comes after the end of its stockout was handled.
func (j *judge) theLastMailIsTrue() {
	for _, s := range j.stockouts {
		mails, back := j.mails[s.hold], j.ofBacks[s.id]
		if s.hold == "" || len(mails) == 0 {
			continue
		}
		var kinds []string
		resumed := false
		for _, m := range mails {
			kinds = append(kinds, m.kind)
			if m.kind == stopMail && (resumed || s.closed && j.handled[back.id] && m.event > j.w.book.doneAt[back.id]) {
				j.broken("I8", j.about(s), "nothing goes backwards: about one stockout of %s came %s, the mail to stop after its end was handled", s.sku, kinds)
			}
			resumed = resumed || m.kind == resumeMail
		}
		switch {
		case !s.closed && resumed:
			j.broken("I8", j.about(s), "the last mail is true: about a stockout of %s, which goes on, came %s", s.sku, kinds)
		case s.closed && j.handled[back.id] && !resumed && s.state != string(restock.AdHoldResuming):
			j.broken("I8", j.about(s), "the last mail is true: the advertisement of %s is left stopped, though its stock is back; about its stockout came %s", s.sku, kinds)
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
