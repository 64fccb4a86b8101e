package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/restock/restock"
)

// SMTP hands mails to a mail server, one connection for each.
//
// It drives the conversation itself, since go-mail's own client renews its
// deadline on the way, and reports a mail as failed when only the farewell was.
type SMTP struct {
	scheme      string
	host, port  string
	policy      tlsPolicy
	login       *login // nil: none
	localName   string
	tls         *tls.Config
	dial        func(ctx context.Context, network, address string) (net.Conn, error)
	dialTimeout time.Duration
	timeout     time.Duration
}

var _ Sender = (*SMTP)(nil)

// The limits of a conversation. A context that ends earlier wins.
const (
	DialTimeout         = 5 * time.Second
	ConversationTimeout = 30 * time.Second // with the dialing
	quitTimeout         = 2 * time.Second  // the mail's fate is known by then
	answerBytesMax      = 1 << 20          // all that the server says
	wordsRunesMax       = 500              // of an answer, in an error
)

// tlsPolicy says when a conversation is encrypted.
type tlsPolicy string

const (
	tlsOffered  tlsPolicy = ""         // when the server offers STARTTLS
	tlsRequired tlsPolicy = "required" // or there is no conversation
	tlsNone     tlsPolicy = "none"
)

// The ports of mail submission (RFC 8314).
const (
	portSMTP  = "587"
	portSMTPS = "465"
)

// NewSMTP reads the URL as described at Open. It connects to nothing yet.
func NewSMTP(rawURL string, cfg Config) (*SMTP, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	s := &SMTP{scheme: u.Scheme, host: u.Hostname()}
	if s.port, err = port(u); err != nil {
		return nil, err
	}
	if s.policy, err = policy(u); err != nil {
		return nil, err
	}
	if s.login, err = credentials(u.User); err != nil {
		return nil, err
	}
	if s.login != nil && s.policy == tlsNone && !loopback(s.host) {
		return nil, invalidURL("would send the password unencrypted (tls=none)")
	}
	s.configure(cfg)
	return s, nil
}

// String is the URL without its password.
func (s *SMTP) String() string {
	user := ""
	if s.login != nil {
		user = url.User(s.login.user).String() + ":***@"
	}
	return s.scheme + "://" + user + s.address()
}

// Send hands the mail to the server. Answers of 500 and above are permanent;
// others, and whatever happens to the network, are worth a repeat.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	l, err := compose(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return s.failure(ctx, "connecting", err)
	}
	// Closing the bare connection ends any read or write when the time is up.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	return s.converse(ctx, conn, l)
}

// configure takes over what the URL does not say, and the defaults.
func (s *SMTP) configure(cfg Config) {
	s.dialTimeout = cmp.Or(cfg.DialTimeout, DialTimeout)
	s.timeout = cmp.Or(cfg.Timeout, ConversationTimeout)
	s.dial = cfg.Dial
	if s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	s.tls = new(tls.Config)
	if cfg.TLS != nil {
		s.tls = cfg.TLS.Clone()
	}
	s.tls.ServerName = cmp.Or(s.tls.ServerName, s.host)
	s.localName = cfg.LocalName
	if s.localName == "" {
		s.localName, _ = os.Hostname() // without one there is still the next line
	}
	s.localName = cmp.Or(s.localName, "localhost")
}

func (s *SMTP) address() string { return net.JoinHostPort(s.host, s.port) }

func (s *SMTP) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.dialTimeout)
	defer cancel()
	conn, err := s.dial(ctx, "tcp", s.address())
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: conn, left: answerBytesMax}, nil
}

// stepData is the step after whose failure nobody knows whether the mail was
// taken, unless the server said so.
const stepData = "DATA"

// step is one exchange with the server, under the name it has in errors.
type step struct {
	name string
	do   func() error
}

func (s *SMTP) converse(ctx context.Context, conn net.Conn, l letter) error {
	if s.scheme == schemeSMTPS {
		conn = tls.Client(conn, s.tls) // it shakes hands when the greeting is read
	}
	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return s.failure(ctx, "greeting", err)
	}
	defer leave(conn, client)
	client.SkipSMTPUTF8(true) // all addresses are ASCII; asking for it would bounce at older servers
	steps := []step{
		{"EHLO", func() error { return client.Hello(s.localName) }},
		{"STARTTLS", func() error { return s.encrypt(client) }},
		{"AUTH", func() error { return s.login.authenticate(client, s.host) }},
		{"MAIL FROM", func() error { return client.Mail("<" + l.from + ">") }},
		{"RCPT TO", func() error { return client.Rcpt("<" + l.to + ">") }},
		{stepData, func() error { return transmit(client, l.content) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return s.failure(ctx, step.name, err)
		}
	}
	return nil
}

// leave says goodbye. Whatever comes of it, the mail's fate is already known.
func leave(conn net.Conn, client *smtp.Client) {
	if conn.SetDeadline(time.Now().Add(quitTimeout)) == nil {
		_ = client.Quit()
	}
}

var errNoSTARTTLS = errors.New("the server does not offer STARTTLS, and tls=required asks for it")

func (s *SMTP) encrypt(client *smtp.Client) error {
	if s.scheme == schemeSMTPS || s.policy == tlsNone {
		return nil
	}
	offered, _ := client.Extension("STARTTLS")
	if !offered && s.policy == tlsRequired {
		return errNoSTARTTLS
	}
	if !offered {
		return nil
	}
	if err := client.StartTLS(s.tls); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	return nil
}

func transmit(client *smtp.Client, content []byte) error {
	w, err := client.Data()
	if err != nil {
		return fmt.Errorf("announcing the content: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("sending the content: %w", err)
	}
	if err := w.Close(); err != nil { // the server's verdict
		return fmt.Errorf("ending the content: %w", err)
	}
	return nil
}

// failure gives the error its kind and keeps the server's words in it. The cause
// is told in words only: a server may repeat what we sent it, the password too.
func (s *SMTP) failure(ctx context.Context, at string, err error) error {
	said := err.Error()
	answer, answered := errors.AsType[*textproto.Error](err)
	if answered {
		said = strconv.Itoa(answer.Code) + " " + answer.Msg // as it was sent, unquoted
	}
	words := oneLine(s.login.hide(said), wordsRunesMax)
	const firstPermanent = 500
	if answered && answer.Code >= firstPermanent && concernsMail(at) {
		return invalid("mail server %s refused the mail for good at %s: %s; "+
			"correct the mail or the server's rules, then send it again", s.address(), at, words)
	}
	e := restock.Errorf(restock.Unavailable, restock.CodeUnavailable,
		"mail server %s did not take the mail at %s: %s; try again later", s.address(), at, words)
	switch {
	case answered: // then the time is not to blame
	case errors.Is(err, context.DeadlineExceeded): // of the dialing
		e.Err = context.DeadlineExceeded
	default:
		e.Err = ctx.Err()
	}
	if !answered && at == stepData {
		return e // the answer may be lost, and not the mail
	}
	const firstPostponing = 400
	return &untakenError{error: e, postponed: answered && answer.Code >= firstPostponing && answer.Code < firstPermanent}
}

// concernsMail tells a refusal of this mail from one of us, such as a wrong
// password: a person mends that, and then the same mail goes through.
func concernsMail(step string) bool {
	return step == "MAIL FROM" || step == "RCPT TO" || step == stepData
}

// parseURL says nothing of what it read: err would quote the password.
func parseURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, invalidURL("cannot be read")
	}
	if u.Scheme != schemeSMTP && u.Scheme != schemeSMTPS {
		return nil, invalidURL("begins with something else")
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return nil, invalidURL("has a missing host or something after it")
	}
	return u, nil
}

func port(u *url.URL) (string, error) {
	if u.Port() == "" && u.Scheme == schemeSMTPS {
		return portSMTPS, nil
	}
	text := cmp.Or(u.Port(), portSMTP)
	const bits = 16
	if n, err := strconv.ParseUint(text, 10, bits); err != nil || n == 0 {
		return "", invalidURL("has a port that is not from 1 to 65535")
	}
	return text, nil
}

func policy(u *url.URL) (tlsPolicy, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) > 1 || len(query) == 1 && !query.Has("tls") {
		return "", invalidURL("has a setting that is not tls")
	}
	value := tlsPolicy(query.Get("tls"))
	known := []tlsPolicy{tlsRequired, tlsNone}
	if u.Scheme == schemeSMTPS {
		known = []tlsPolicy{tlsRequired}
	}
	if query.Has("tls") && !slices.Contains(known, value) {
		return "", invalidURL("has a setting of tls that is not allowed")
	}
	return value, nil
}

// loopback is the exception that smtp.PlainAuth makes too.
func loopback(host string) bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host)
}

// boundedConn ends a conversation in which the server talks without end.
type boundedConn struct {
	net.Conn

	left int
}

var errTooMuch = fmt.Errorf("the server said more than %d bytes", answerBytesMax)

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err //nolint:wrapcheck // It stands in for the connection: io.EOF must stay io.EOF.
}
