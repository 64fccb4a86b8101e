package crash_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// letter is a mail that the mail server took.
type letter struct {
	id      string // the Message-ID without its brackets
	to      string // of the envelope
	date    string
	content string
}

// mailbox is a mail server that keeps all it takes, in the order of taking.
type mailbox struct {
	dice    *dice
	flights *flights // taken, and not answered yet

	mu      sync.Mutex
	letters []letter
	strange []string // what is no mail
}

func newMailbox(d *dice) *mailbox { return &mailbox{dice: d, flights: newFlights("mail")} }

// open starts the mail server and gives its host:port.
func (m *mailbox) open(ctx context.Context) (string, func(), error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("opening the mail server: %w", err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{mailbox: m, ctx: ctx}, nil }))
	server.Domain = "localhost"
	server.ErrorLog = log.New(io.Discard, "", 0) // kills break connections; that is no news
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	return listener.Addr().String(), func() {
		_ = server.Close()
		serving.Wait()
	}, nil
}

// delivery is one connection.
type delivery struct {
	mailbox *mailbox
	ctx     context.Context
	to      string
}

func (d *delivery) Reset()                                    { d.to = "" }
func (d *delivery) Logout() error                             { return nil }
func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return nil }

// Data takes a mail, and says so a few milliseconds later, so that there are
// mails that arrived and whose sender does not know it.
func (d *delivery) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err // cut off: nothing was taken
	}
	const slowest = 6 * time.Millisecond
	began := d.mailbox.flights.begin()
	d.mailbox.take(d.to, content)
	pause(d.ctx, d.mailbox.dice.upTo(slowest))
	d.mailbox.flights.end(began)
	return nil
}

func (m *mailbox) take(to string, content []byte) {
	message, err := mail.ReadMessage(bytes.NewReader(content))
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.strange = append(m.strange, fmt.Sprintf("mail to %s cannot be read: %v", to, err))
		return
	}
	m.letters = append(m.letters, letter{
		id: strings.Trim(message.Header.Get("Message-ID"), "<>"), to: to,
		date: message.Header.Get("Date"), content: string(content),
	})
}
