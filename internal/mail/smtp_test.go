package mail_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// post is one mail as the server got it.
type post struct {
	From, To, Content string
	User              string
	Encrypted         bool
}

// server is a real mail server. Its fields are set before it starts.
type server struct {
	mailFrom, rcptTo, data error // what it answers, if not yes
	authErr                error
	mechanisms             []string
	stall                  func() // called before it answers RCPT
	drops                  int    // connections to drop when it has the mail

	mu    sync.Mutex
	posts []post
}

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

func (s *server) received() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]post(nil), s.posts...)
}

type session struct {
	server *server
	conn   *smtp.Conn
	post   post
}

func (s *session) Reset()        { s.post.From, s.post.To = "", "" }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.post.From = from
	return s.server.mailFrom
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.stall != nil {
		s.server.stall()
	}
	s.post.To = to
	return s.server.rcptTo
}

func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("reading the content: %w", err)
	}
	if s.server.data != nil {
		return s.server.data
	}
	s.post.Content = string(content)
	_, s.post.Encrypted = s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.posts = append(s.server.posts, s.post)
	if s.server.drops > 0 {
		s.server.drops--
		return s.conn.Conn().Close()
	}
	return nil
}

func (s *session) AuthMechanisms() []string { return s.server.mechanisms }

func (s *session) Auth(mech string) (sasl.Server, error) {
	check := func(_, user, password string) error {
		if s.server.authErr != nil {
			return s.server.authErr
		}
		if user != "me@donut.example" || password != `hunter2"/한글` {
			return smtp.ErrAuthFailed
		}
		s.post.User = user
		return nil
	}
	if mech == "LOGIN" {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(check), nil
}

// loginServer is the server's side of AUTH LOGIN, which go-sasl has only for clients.
type loginServer struct {
	check  func(identity, user, password string) error
	user   string
	prompt int
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.prompt++
	switch l.prompt {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.check("", l.user, string(response))
	}
}

const userinfo = "me%40donut.example:hunter2%22%2F%ED%95%9C%EA%B8%80@"

// start serves on loopback, with TLS when it is given, from the first byte when
// immediately is set, and gives the address.
func (s *server) start(t *testing.T, config *tls.Config, immediately bool) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	if immediately {
		listener = tls.NewListener(listener, config)
	}
	srv := smtp.NewServer(s)
	srv.Domain = "relay.example"
	srv.TLSConfig = config
	srv.AllowInsecureAuth = true
	srv.ErrorLog = log.New(io.Discard, "", 0)
	var group sync.WaitGroup
	group.Go(func() { _ = srv.Serve(listener) })
	t.Cleanup(func() {
		_ = srv.Close()
		group.Wait()
	})
	return listener.Addr().String()
}

// certificate makes one for 127.0.0.1 and gives the server's and the client's
// view of it.
func certificate(t *testing.T) (*tls.Config, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("reading the certificate: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots}
}

func open(t *testing.T, rawURL string, cfg mail.Config) mail.Sender { //nolint:ireturn // As Open.
	t.Helper()
	sender, err := mail.Open(rawURL, cfg)
	if err != nil {
		t.Fatalf("Open(%q): %v", rawURL, err)
	}
	return sender
}

func TestSMTPSendsTheBytesOfTheFile(t *testing.T) {
	t.Parallel()
	srv := &server{}
	sender := open(t, "smtp://"+srv.start(t, nil, false), mail.Config{})
	if err := sender.Send(t.Context(), korean()); err != nil {
		t.Fatalf("Send: %v", err)
	}
	want := []post{{From: "shop@donut.example", To: "ads@donut.example", Content: string(compose(t, korean()))}}
	if diff := cmp.Diff(srv.received(), want); diff != "" {
		t.Errorf("got (-) want (+)\n%s", diff)
	}
	if diff := cmp.Diff(readMail(t, []byte(srv.received()[0].Content)), wantKorean()); diff != "" {
		t.Errorf("got (-) want (+)\n%s", diff)
	}
}

func TestSMTPRepeatIsTheSameMail(t *testing.T) {
	t.Parallel()
	srv := &server{}
	sender := open(t, "smtp://"+srv.start(t, nil, false), mail.Config{})
	for range 2 {
		if err := sender.Send(t.Context(), korean()); err != nil {
			t.Fatalf("Send: %v", err)
		}
	}
	posts := srv.received()
	if len(posts) != 2 || posts[0] != posts[1] {
		t.Errorf("got %v, want twice the same", posts)
	}
}

func TestSMTPRefusalKeepsTheServersWords(t *testing.T) {
	t.Parallel()
	answer := func(code int, message string) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: message}
	}
	for name, test := range map[string]struct {
		server *server
		want   restock.Kind
		words  string
	}{
		"sender for good":      {&server{mailFrom: answer(553, "not yours")}, restock.Invalid, "MAIL FROM: 553 5.1.1 not yours"},
		"sender for now":       {&server{mailFrom: answer(451, "slow down")}, restock.Unavailable, "MAIL FROM: 451 4.1.1 slow down"},
		"recipient for good":   {&server{rcptTo: answer(550, "no such user")}, restock.Invalid, "RCPT TO: 550 5.1.1 no such user"},
		"recipient greylisted": {&server{rcptTo: answer(450, "come back")}, restock.Unavailable, "RCPT TO: 450 4.1.1 come back"},
		"content for good":     {&server{data: answer(554, "spam")}, restock.Invalid, "554 5.1.1 spam"},
		"content for now":      {&server{data: answer(452, "disk full")}, restock.Unavailable, "452 4.1.1 disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender := open(t, "smtp://"+test.server.start(t, nil, false), mail.Config{})
			err := sender.Send(t.Context(), english())
			if err == nil || restock.KindOf(err) != test.want || !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %v, want kind %d with %q", err, test.want, test.words)
			}
			if postponed := test.want == restock.Unavailable; !mail.Untaken(err) || mail.Postponed(err) != postponed {
				t.Errorf("untaken %t, postponed %t; want true and %t", mail.Untaken(err), mail.Postponed(err), postponed)
			}
			if got := len(test.server.received()); got != 0 {
				t.Errorf("the server kept %d mails, want none", got)
			}
		})
	}
}

func TestSMTPServerThatIsDownIsWorthARepeat(t *testing.T) {
	t.Parallel()
	sender := open(t, "smtp://"+nobody(t), mail.Config{})
	if err := sender.Send(t.Context(), english()); restock.KindOf(err) != restock.Unavailable {
		t.Errorf("error %v, want one of kind Unavailable", err)
	}
}

// nobody gives an address at which nobody listens, nor will while the test runs: it
// is our end of an open connection.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

func TestSMTPEncryptsAndAuthenticates(t *testing.T) {
	t.Parallel()
	forServer, forClient := certificate(t)
	for name, test := range map[string]struct {
		scheme, query string
		server        *server
		tls           *tls.Config
		encrypted     bool
	}{
		"STARTTLS when offered":  {"smtp://", "", &server{mechanisms: []string{"PLAIN"}}, forServer, true},
		"STARTTLS required":      {"smtp://", "?tls=required", &server{mechanisms: []string{"LOGIN", "PLAIN"}}, forServer, true},
		"STARTTLS with LOGIN":    {"smtp://", "", &server{mechanisms: []string{"LOGIN"}}, forServer, true},
		"TLS from the start":     {"smtps://", "", &server{mechanisms: []string{"PLAIN"}}, forServer, true},
		"no TLS offered, local":  {"smtp://", "", &server{mechanisms: []string{"PLAIN"}}, nil, false},
		"TLS forbidden, local":   {"smtp://", "?tls=none", &server{mechanisms: []string{"PLAIN"}}, forServer, false},
		"TLS forbidden, LOGIN":   {"smtp://", "?tls=none", &server{mechanisms: []string{"LOGIN"}}, forServer, false},
		"TLS required, explicit": {"smtps://", "?tls=required", &server{mechanisms: []string{"PLAIN"}}, forServer, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := test.server.start(t, test.tls, test.scheme == "smtps://")
			sender := open(t, test.scheme+userinfo+address+test.query, mail.Config{TLS: forClient})
			if err := sender.Send(t.Context(), english()); err != nil {
				t.Fatalf("Send: %v", err)
			}
			got := test.server.received()[0]
			if got.User != "me@donut.example" || got.Encrypted != test.encrypted {
				t.Errorf("user %q, encrypted %v; want encrypted %v", got.User, got.Encrypted, test.encrypted)
			}
		})
	}
}

func TestSMTPSendsNothingWhenItCannotTrustTheServer(t *testing.T) {
	t.Parallel()
	forServer, forClient := certificate(t)
	for name, test := range map[string]struct {
		url    string
		server *server
		tls    *tls.Config
		cfg    mail.Config
		words  string
	}{
		"unknown certificate":   {"smtp://%", &server{}, forServer, mail.Config{}, "certificate"},
		"unknown, from start":   {"smtps://%", &server{}, forServer, mail.Config{}, "certificate"},
		"no STARTTLS":           {"smtp://%?tls=required", &server{}, nil, mail.Config{TLS: forClient}, "STARTTLS"},
		"no mechanism of ours":  {"smtp://me:x@%", &server{mechanisms: []string{"XOAUTH2"}}, nil, mail.Config{}, "AUTH PLAIN"},
		"no encryption, remote": {"smtp://me:hunter2@relay.example:25", &server{mechanisms: []string{"PLAIN"}}, nil, mail.Config{}, "unencrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := test.server.start(t, test.tls, strings.HasPrefix(test.url, "smtps:"))
			test.cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			sender := open(t, strings.Replace(test.url, "%", address, 1), test.cfg)
			err := sender.Send(t.Context(), english())
			if restock.KindOf(err) != restock.Unavailable || !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %v, want one of kind Unavailable with %q", err, test.words)
			}
			if got := len(test.server.received()); got != 0 {
				t.Errorf("the server has %d mails, want none", got)
			}
		})
	}
}

func TestSMTPErrorHidesThePasswordThatTheServerRepeats(t *testing.T) {
	t.Parallel()
	const password = `hunter2"/한글`
	plain := base64.StdEncoding.EncodeToString([]byte("\x00me@donut.example\x00" + password))
	alone := base64.StdEncoding.EncodeToString([]byte(password))
	srv := &server{mechanisms: []string{"PLAIN"}, authErr: &smtp.SMTPError{
		Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8},
		Message: "unknown user: AUTH PLAIN " + plain + " " + alone + " " + password,
	}}
	sender := open(t, "smtp://"+userinfo+srv.start(t, nil, false), mail.Config{})
	err := sender.Send(t.Context(), english())
	if mail.Permanent(err) || !strings.Contains(err.Error(), "AUTH: ") || !strings.Contains(err.Error(), "unknown user") {
		t.Fatalf("error %v, want the server's words", err)
	}
	for _, secret := range []string{plain, alone, password, "hunter2"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %v tells %q", err, secret)
		}
	}
}

func TestSMTPEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	srv := &server{stall: func() { cancel(); <-release }}
	sender := open(t, "smtp://"+srv.start(t, nil, false), mail.Config{})
	t.Cleanup(func() { close(release) })
	err := sender.Send(ctx, english())
	if !errors.Is(err, context.Canceled) || restock.KindOf(err) != restock.Unavailable {
		t.Errorf("error %v, want %v of kind Unavailable", err, context.Canceled)
	}
}

// script is a server that gives the answers in order, one per line it reads, and
// then says nothing more. It takes the content of a mail as one line.
type script []string

func (s script) serve(conn net.Conn) {
	lines := bufio.NewReader(conn)
	for i, answer := range s {
		if i > 0 && readCommand(lines, s[i-1]) != nil {
			return
		}
		if _, err := io.WriteString(conn, answer+"\r\n"); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, lines)
}

func readCommand(lines *bufio.Reader, before string) error {
	for {
		line, err := lines.ReadString('\n')
		if err != nil || !strings.HasPrefix(before, "354") || line == ".\r\n" {
			return err //nolint:wrapcheck // Only whether there is one counts.
		}
	}
}

// sendTo runs Send against a script in a bubble and says how long it took.
//
// t comes first in tests.
func sendTo(t *testing.T, ctx context.Context, answers script) (time.Duration, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	var group sync.WaitGroup
	group.Go(func() { answers.serve(theirs) })
	sender := open(t, "smtp://relay.example", mail.Config{
		Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil },
	})
	start := time.Now()
	err := sender.Send(ctx, english())
	took := time.Since(start)
	group.Wait()
	return took, err //nolint:wrapcheck // It is what the test looks at.
}

func TestSMTPServerThatHangsMeetsTheDeadline(t *testing.T) {
	t.Parallel()
	polite := script{"220 relay.example", "250 relay.example", "250 ok", "250 ok", "354 go on", "250 taken", "221 bye"}
	for name, answers := range map[string]script{
		"before the greeting": nil, "after EHLO": polite[:1], "after RCPT": polite[:3],
		"in DATA": polite[:4], "after DATA": polite[:5],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				took, err := sendTo(t, t.Context(), answers)
				if took != mail.ConversationTimeout || !errors.Is(err, context.DeadlineExceeded) || mail.Permanent(err) {
					t.Errorf("after %s: %v; want %v after %s", took, err, context.DeadlineExceeded, mail.ConversationTimeout)
				}
				if knows := !strings.HasSuffix(name, "DATA"); mail.Untaken(err) != knows || mail.Postponed(err) {
					t.Errorf("untaken %t, postponed %t; want %t and false", mail.Untaken(err), mail.Postponed(err), knows)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				took, err := sendTo(t, ctx, answers)
				if took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after %s: %v; want the shorter deadline", took, err)
				}
			})
		})
	}
}

// TestSMTPConnectionDroppedAfterDataIsWorthTheSameMailAgain: the server has the
// mail, and we do not know it.
func TestSMTPConnectionDroppedAfterDataIsWorthTheSameMailAgain(t *testing.T) {
	t.Parallel()
	srv := &server{drops: 1}
	sender := open(t, "smtp://"+srv.start(t, nil, false), mail.Config{})
	err := sender.Send(t.Context(), korean())
	if restock.KindOf(err) != restock.Unavailable || mail.Untaken(err) || mail.Postponed(err) {
		t.Errorf("error %v, want one of kind Unavailable after which nobody knows", err)
	}
	if err := sender.Send(t.Context(), korean()); err != nil {
		t.Fatalf("again: %v", err)
	}
	posts := srv.received()
	if len(posts) != 2 || posts[0] != posts[1] || !strings.Contains(posts[0].Content, "<"+korean().ID+">") {
		t.Errorf("got %v, want twice the same", posts)
	}
}

func TestSMTPMailThatWasTakenIsSentWhateverTheFarewell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		took, err := sendTo(t, t.Context(), script{"220 hi", "250 hi", "250 ok", "250 ok", "354 go on", "250 taken"})
		if err != nil || took >= mail.DialTimeout {
			t.Errorf("after %s: %v, want no error soon", took, err)
		}
	})
}

func TestSMTPServerThatCannotBeReachedMeetsTheDialDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := open(t, "smtp://relay.example", mail.Config{
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		start := time.Now()
		err := sender.Send(t.Context(), english())
		if took := time.Since(start); took != mail.DialTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %s: %v; want %v after %s", took, err, context.DeadlineExceeded, mail.DialTimeout)
		}
	})
}

func TestSMTPServerThatTalksWithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		took, err := sendTo(t, t.Context(), script{strings.Repeat("220-hello\r\n", 1<<18)})
		if took != 0 || restock.KindOf(err) != restock.Unavailable || len(err.Error()) > 1000 {
			t.Errorf("after %s: %.1000v; want a short error of kind Unavailable at once", took, err)
		}
	})
}
