package crash_test

import (
	"fmt"
	"time"

	"github.com/restock/restock/test/blackbox"
)

// server is the built binary, and the gate that is open while it listens.
type server struct {
	blackbox.Server

	up *gate
}

// start starts a process and opens the gate when it listens.
func (s *server) start() error {
	if err := s.Start(); err != nil {
		return err
	}
	s.up.set(true)
	return nil
}

// kill ends the process as a power switch would, and says when.
func (s *server) kill() (moment, error) {
	select {
	case <-s.Ended():
		return moment{}, fmt.Errorf("the server ended by itself: %s", s.Death())
	default:
	}
	s.up.set(false)
	m := moment{before: time.Now()}
	err := s.KillNow()
	m.after = time.Now()
	<-s.Ended()
	if err != nil {
		return m, fmt.Errorf("killing the server: %w", err)
	}
	return m, nil
}
