package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"sync"
	"time"
)

// The limits of sessions.
const (
	// sessionsMax bounds the sessions that are remembered; the one that was
	// longest unused ends first.
	sessionsMax = 1000
	// sessionIdle is how long a session lasts without use, where a page that is
	// open counts as use, and sessionAge how long in all.
	sessionIdle = time.Hour
	sessionAge  = 12 * time.Hour
	// noticesMax bounds what is still to be told to one session.
	noticesMax = 4

	secretBytes = 32
)

// role is what a session may do.
type role string

// The roles.
const (
	viewer   role = "viewer"   // reads
	operator role = "operator" // reads and acts
)

// session is one person at one browser.
type session struct {
	key     [sha256.Size]byte // the hash of its cookie
	name    string
	role    role
	csrf    string
	beganAt time.Time
	usedAt  time.Time
	notices []notice
}

// notice is what a person is told once, on the next page.
type notice struct {
	Failed bool
	Text   string
}

// sessions are all of this process.
type sessions struct {
	now    func() time.Time
	random io.Reader

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

func newSessions(now func() time.Time, random io.Reader) *sessions {
	return &sessions{now: now, random: random, all: map[[sha256.Size]byte]*session{}}
}

// begin makes a session and gives the value of its cookie, which is nowhere else.
func (s *sessions) begin(name string, r role) (string, error) {
	cookie, err := s.secret()
	if err != nil {
		return "", err
	}
	csrf, err := s.secret()
	if err != nil {
		return "", err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	key := sha256.Sum256([]byte(cookie))
	s.all[key] = &session{key: key, name: name, role: r, csrf: csrf, beganAt: now, usedAt: now}
	return cookie, nil
}

func (s *sessions) secret() (string, error) {
	random := make([]byte, secretBytes)
	if _, err := io.ReadFull(s.random, random); err != nil {
		return "", err
	}
	return hex.EncodeToString(random), nil
}

// makeRoom forgets what has ended, and of too many the one longest unused.
func (s *sessions) makeRoom(now time.Time) {
	var oldest *session
	for key, other := range s.all {
		if other.ended(now) {
			delete(s.all, key)
			continue
		}
		if oldest == nil || other.usedAt.Before(oldest.usedAt) {
			oldest = other
		}
	}
	if len(s.all) >= sessionsMax {
		delete(s.all, oldest.key)
	}
}

// use finds the session of a cookie and gives it as it is now.
func (s *sessions) use(cookie string) (session, bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[sha256.Sum256([]byte(cookie))]
	if !ok {
		return session{}, false
	}
	if found.ended(now) {
		delete(s.all, found.key)
		return session{}, false
	}
	found.usedAt = now
	return *found, true
}

func (s *sessions) end(key [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, key)
}

// tell keeps a notice for the next page of a session.
func (s *sessions) tell(key [sha256.Size]byte, n notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.all[key]; ok && len(found.notices) < noticesMax {
		found.notices = append(found.notices, n)
	}
}

// told gives what a session is still to be told, once.
func (s *sessions) told(key [sha256.Size]byte) []notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[key]
	if !ok {
		return nil
	}
	notices := found.notices
	found.notices = nil
	return notices
}

// ended reports whether a session is over. A clock that was set back ends none.
func (s *session) ended(now time.Time) bool {
	return now.Sub(s.usedAt) >= sessionIdle || now.Sub(s.beganAt) >= sessionAge
}

// owns reports whether a form carries the token of this session.
func (s *session) owns(csrf string) bool {
	return subtle.ConstantTimeCompare([]byte(csrf), []byte(s.csrf)) == 1
}
