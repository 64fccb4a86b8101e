package story_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
)

// post is a mail server that keeps every letter, and turns away those to the
// addresses that it is told do not exist.
type post struct {
	server   *smtp.Server
	listener net.Listener

	mu      sync.Mutex
	unknown map[string]bool
	letters []letter
}

// letter is one delivered mail.
type letter struct {
	to      string
	content []byte
}

func openPost() (*post, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the post office: %w", err)
	}
	p := &post{listener: listener, unknown: map[string]bool{}}
	p.server = smtp.NewServer(p)
	p.server.Domain = "localhost"
	go func() { _ = p.server.Serve(listener) }() // it ends with close
	return p, nil
}

func (p *post) url() string { return "smtp://" + p.listener.Addr().String() }

func (p *post) close() error {
	if err := p.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the post office: %w", err)
	}
	return nil
}

// NewSession is called for every connection.
func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { //nolint:ireturn // go-smtp asks for it.
	return &mailing{post: p}, nil
}

// know says whether an address exists.
func (p *post) know(address string, exists bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unknown[address] = !exists
}

func (p *post) lettersTo(address string) []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.letters), func(l letter) bool { return l.to != address })
}

// mailing is one conversation with the post office.
type mailing struct {
	post *post
	to   []string
}

func (m *mailing) Mail(string, *smtp.MailOptions) error { return nil }

func (m *mailing) Rcpt(to string, _ *smtp.RcptOptions) error {
	m.post.mu.Lock()
	defer m.post.mu.Unlock()
	if m.post.unknown[to] {
		const noSuchMailbox = 550
		return &smtp.SMTPError{Code: noSuchMailbox, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	m.to = append(m.to, to)
	return nil
}

func (m *mailing) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("reading the letter: %w", err)
	}
	m.post.mu.Lock()
	defer m.post.mu.Unlock()
	for _, to := range m.to {
		m.post.letters = append(m.post.letters, letter{to: to, content: content})
	}
	return nil
}

func (m *mailing) Reset() { m.to = nil }

func (m *mailing) Logout() error { return nil }

// legible is a mail as a mail program shows it: the headers that people and mail
// programs go by, and the text.
func legible(content []byte) (string, error) {
	m, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("reading a mail: %w", err)
	}
	var text strings.Builder
	for _, name := range []string{"From", "To", "Reply-To", "Subject", "Message-ID", "In-Reply-To", "X-Restock-Trace"} {
		value, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name))
		if err != nil {
			return "", fmt.Errorf("reading the header %s: %w", name, err)
		}
		if value != "" {
			fmt.Fprintf(&text, "%s: %s\n", name, value)
		}
	}
	body, encoding := m.Body, m.Header.Get("Content-Transfer-Encoding")
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err == nil && strings.HasPrefix(kind, "multipart/") { // the text stands before the HTML
		part, err := multipart.NewReader(body, parameters["boundary"]).NextRawPart()
		if err != nil {
			return "", fmt.Errorf("reading the parts of a mail: %w", err)
		}
		body, encoding = part, part.Header.Get("Content-Transfer-Encoding")
	}
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	letter, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("reading the text of a mail: %w", err)
	}
	return text.String() + "\n" + strings.ReplaceAll(string(letter), "\r\n", "\n"), nil
}
