package ads_test

import (
	"io"
	"log"
	"net"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// mailServer refuses mail as it is told.
type mailServer struct {
	address string

	mu     sync.Mutex
	answer *smtp.SMTPError
}

func openServer(t *testing.T) *mailServer {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{address: listener.Addr().String()}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{s}, nil }))
	server.Domain, server.ErrorLog = "localhost", log.New(io.Discard, "", 0)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return s
}

func (s *mailServer) url() string { return "smtp://" + s.address + "?tls=none" }

// refuse answers every recipient so from now on; 0 takes them.
func (s *mailServer) refuse(code int, words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = nil
	if code != 0 {
		s.answer = &smtp.SMTPError{Code: code, Message: words}
	}
}

type session struct{ server *mailServer }

func (session) Reset()                               {}
func (session) Logout() error                        { return nil }
func (session) Mail(string, *smtp.MailOptions) error { return nil }

func (s session) Rcpt(string, *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.answer != nil {
		return s.server.answer
	}
	return nil
}

func (session) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
