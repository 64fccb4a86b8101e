package messages_test

import (
	"context"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/test/blackbox"
)

// letter is a mail that the mail server took.
type letter struct {
	id, to, text string
	event        int // when, by the count of events
}

// mailbox is a mail server that keeps what it takes, in the order of taking. It
// is away at times, refuses mails for now, and some addresses for good, and ends
// connections after it took a mail and before it said so.
type mailbox struct {
	dice dice
	book *book

	address string
	away    atomic.Bool // it takes nothing
	quiet   atomic.Bool // no more mischief, but for what is refused for good

	mu      sync.Mutex
	letters []letter
	tries   map[string]int  // by recipient
	heard   map[string]bool // mails of which a sender heard that they were taken, by their ids
	again   map[string]bool // and those that came once more after that
}

// nobody is how addresses begin that are refused for good.
const nobody = "nobody"

// openMailbox starts a mail server that lives as long as the test.
func openMailbox(t *testing.T, d dice, b *book) *mailbox {
	t.Helper()
	m := &mailbox{dice: d, book: b, tries: map[string]int{}, heard: map[string]bool{}, again: map[string]bool{}}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = listener.Addr().String()
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{mailbox: m, conn: c}, nil }))
	server.Domain = "localhost"
	server.ErrorLog = log.New(io.Discard, "", 0)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return m
}

// session is one connection.
type session struct {
	mailbox *mailbox
	conn    *smtp.Conn
	to      string
}

func (s *session) Reset()        { s.to = "" }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.mailbox.away.Load() {
		return refusal(421, "try again later")
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	if strings.HasPrefix(to, nobody) {
		s.mailbox.book.tally.count(mailForGood)
		return refusal(550, "no such mailbox")
	}
	return nil
}

func refusal(code int, words string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: words}
}

// Data takes a mail, unless it is one to be refused for now.
func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err // cut off: nothing was taken
	}
	dice := s.mailbox.next(s.to)
	switch {
	case !s.mailbox.quiet.Load() && chance(dice, 15):
		s.mailbox.book.tally.count(mailForNow)
		return refusal(451, "greylisted")
	case !s.mailbox.quiet.Load() && chance(dice, 5):
		s.mailbox.book.tally.count(mailUnknown)
		s.mailbox.take(s.to, content)
		_ = s.conn.Close()
		return io.ErrUnexpectedEOF
	}
	s.mailbox.take(s.to, content)
	return nil
}

// next gives the dice for the next mail to somebody.
func (m *mailbox) next(to string) *rand.Rand {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries[to]++
	return m.dice.about("mail to", to, m.tries[to])
}

func (m *mailbox) take(to string, content []byte) {
	l := letter{to: to}
	read, err := blackbox.ReadLetter(content)
	if err != nil {
		m.book.broken("I5", about(skuOf(to)), "who had to be told was told: a mail to %s cannot be read: %v", to, err)
		return
	}
	l.id, l.text = strings.Trim(read.ID(), "<>"), read.Text
	m.mu.Lock()
	defer m.mu.Unlock()
	l.event = m.book.event()
	m.letters = append(m.letters, l)
	if m.heard[l.id] {
		m.again[l.id] = true
	}
}

// all gives what was taken, and which mails came again though their sender had
// heard so.
func (m *mailbox) all() ([]letter, map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.letters), maps.Clone(m.again)
}

// line is the way to the mail server: slow at times. A conversation ends
// when its context does, as that of the real sender; a mail that was taken by
// then was taken.
type line struct {
	mail.Sender

	w *world

	mu   sync.Mutex
	sent map[string]int
}

func (l *line) Send(ctx context.Context, m mail.Message) error {
	l.mu.Lock()
	l.sent[m.To]++
	dice := l.w.dice.about("line to", m.To, l.sent[m.To])
	l.mu.Unlock()
	var before, after time.Duration
	if !l.w.quiet.Load() && chance(dice, 40) {
		before, after = upTo(dice, l.w.pace.mailing/2), upTo(dice, l.w.pace.mailing/2)
	}
	if before+after > l.w.pace.visibility {
		l.w.tally.count(mailSlow)
	}
	if !l.w.sleep(ctx, before) {
		return restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "the conversation was cut off: %v", ctx.Err())
	}
	err := l.Sender.Send(ctx, m)
	answered := chance(dice, 50) // and the rest is the farewell
	if !l.w.sleep(ctx, after) && err == nil && !answered {
		err = restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "the answer did not come: %v", ctx.Err())
	}
	l.w.book.note(skuOf(m.To), "mail %s to %s: %v", m.ID, m.To, err)
	if err == nil {
		l.w.mailbox.answered(m.ID)
	}
	return err
}

// answered notes that the sender of a mail heard that it was taken.
func (m *mailbox) answered(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard[id] = true
}
