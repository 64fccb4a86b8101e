package blackbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Who may send mail here, and with what.
const (
	postUser     = "shop"
	postPassword = "p@ss/wörd" //nolint:gosec // of a server that lives as long as a test.
)

// Behaviour is what a mail server does to one letter.
type Behaviour int

// What it can do.
const (
	TakesIt     Behaviour = iota
	Greylists             // 450: come back later
	RefusesIt             // 550: for good
	DropsIt               // it has the letter, and breaks off before it says so
	GoesAway              // it breaks off before it has the letter
	HoldsTheEnd           // it says nothing until Release
)

// Post is a mail server with TLS and AUTH. It keeps every letter that it has, in
// the order of arrival.
type Post struct {
	// Certificates is a file with the authority that it is to be trusted by.
	Certificates string

	address  string
	implicit bool
	release  chan struct{}

	mu      sync.Mutex
	plan    map[string][]Behaviour // of the next letters to an address
	begun   map[string]int         // conversations about letters to an address
	letters []Letter
	arrived chan struct{} // closed and made anew at each letter
}

// Letter is a mail as its reader sees it.
type Letter struct {
	To      string // of the envelope
	Raw     string
	Header  netmail.Header
	Subject string
	Text    string
	HTML    string
}

// ID is the Message-ID.
func (l Letter) ID() string { return l.Header.Get("Message-ID") }

// OpenPost opens a mail server that lives as long as the test: with TLS from the
// first byte, or with STARTTLS.
func OpenPost(t *testing.T, implicit bool) *Post {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Post{address: listener.Addr().String(), implicit: implicit, arrived: make(chan struct{}), release: make(chan struct{}), plan: map[string][]Behaviour{}, begun: map[string]int{}}
	config := p.certify(t)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &posting{post: p, conn: c}, nil }))
	server.Domain, server.TLSConfig, server.ErrorLog = "relay.example", config, log.New(io.Discard, "", 0)
	if implicit {
		listener = tls.NewListener(listener, config)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		p.Release()
		_ = server.Close()
		serving.Wait()
	})
	return p
}

// certify makes a certificate for this machine, and the file to trust it by.
func (p *Post) certify(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.Certificates = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(p.Certificates, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// URL is for --mail.
func (p *Post) URL() string {
	const user = postUser + ":p%40ss%2Fw%C3%B6rd@"
	if p.implicit {
		return "smtps://" + user + p.address
	}
	return "smtp://" + user + p.address + "?tls=required"
}

// Env lets a process trust the server.
func (p *Post) Env() []string { return []string{"SSL_CERT_FILE=" + p.Certificates} }

// Plan says what becomes of the next letters to an address, one after another.
// Those after them are taken.
func (p *Post) Plan(to string, plan ...Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan[to] = plan
}

// Release ends all waiting of HoldsTheEnd.
func (p *Post) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.release:
	default:
		close(p.release)
	}
}

func (p *Post) next(to string) Behaviour {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun[to]++
	if len(p.plan[to]) == 0 {
		return TakesIt
	}
	b := p.plan[to][0]
	p.plan[to] = p.plan[to][1:]
	return b
}

// Begun is how often somebody came with a letter to an address.
func (p *Post) Begun(to string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun[to]
}

// To are the letters to an address so far, repeats too.
func (p *Post) To(address string) []Letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	var to []Letter
	for _, l := range p.letters {
		if l.To == address {
			to = append(to, l)
		}
	}
	return to
}

// Await waits until there are n letters to an address, and gives all.
func (p *Post) Await(t *testing.T, address string, n int) []Letter {
	t.Helper()
	timer := time.NewTimer(WaitMax)
	defer timer.Stop()
	for {
		p.mu.Lock()
		arrived := p.arrived
		p.mu.Unlock()
		letters := p.To(address)
		if len(letters) >= n {
			return letters
		}
		select {
		case <-arrived:
		case <-timer.C:
			t.Fatalf("%s got %d letters within %v, want %d", address, len(letters), WaitMax, n)
		}
	}
}

// posting is one connection.
type posting struct {
	post   *Post
	conn   *smtp.Conn
	user   string
	to     string
	become Behaviour
}

func (*posting) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *posting) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != postUser || password != postPassword {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *posting) Reset()        { s.to = "" }
func (s *posting) Logout() error { return nil }

func (s *posting) Mail(string, *smtp.MailOptions) error {
	if _, encrypted := s.conn.TLSConnectionState(); !encrypted || s.user == "" {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *posting) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to, s.become = to, s.post.next(to)
	switch s.become {
	case Greylists:
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come back later"}
	case RefusesIt:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox here"}
	case GoesAway:
		return s.conn.Conn().Close()
	case TakesIt, DropsIt, HoldsTheEnd:
	}
	return nil
}

func (s *posting) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.become == HoldsTheEnd {
		<-s.post.release
	}
	if err := s.post.take(s.to, content); err != nil {
		return err
	}
	if s.become == DropsIt {
		return errors.Join(s.conn.Conn().Close(), io.ErrClosedPipe)
	}
	return nil
}

func (p *Post) take(to string, content []byte) error {
	letter, err := ReadLetter(content)
	if err != nil {
		return &smtp.SMTPError{Code: 554, Message: err.Error()}
	}
	letter.To = to
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = append(p.letters, letter)
	close(p.arrived)
	p.arrived = make(chan struct{})
	return nil
}

// ReadLetter reads a mail as a mail program does.
func ReadLetter(content []byte) (Letter, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return Letter{}, fmt.Errorf("reading a mail: %w", err)
	}
	l := Letter{Raw: string(content), Header: m.Header}
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return l, err
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return l, err
	}
	if kind != "multipart/alternative" {
		l.Text, err = decoded(m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return l, err
	}
	for parts := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return l, err
		}
		text, err := decoded(part.Header.Get("Content-Transfer-Encoding"), part)
		if err != nil {
			return l, err
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			l.HTML = text
		} else {
			l.Text = text
		}
	}
}

func decoded(encoding string, body io.Reader) (string, error) {
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}
