package dashboard

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"
)

func TestOnlySoManySessionsAreRemembered(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newSessions(func() time.Time { return now }, rand.Reader)
	begin := func() string {
		t.Helper()
		now = now.Add(time.Millisecond)
		cookie, err := s.begin("Kim", operator)
		if err != nil {
			t.Fatal(err)
		}
		return cookie
	}
	first, second := begin(), begin()
	for range sessionsMax - 2 {
		begin()
	}
	now = now.Add(time.Millisecond)
	if _, ok := s.use(first); !ok {
		t.Fatal("the first session ended before there were too many")
	}
	begin()
	if _, ok := s.use(first); !ok {
		t.Error("a session that was just used made room for another")
	}
	if _, ok := s.use(second); ok {
		t.Error("the session that was longest unused is still there")
	}
	if len(s.all) != sessionsMax {
		t.Errorf("%d sessions, want %d", len(s.all), sessionsMax)
	}
	now = now.Add(sessionIdle)
	begin()
	if len(s.all) != 1 {
		t.Errorf("%d sessions are remembered, though all but one have ended", len(s.all))
	}
}

func TestASessionHearsOnceAndOnlySoMuch(t *testing.T) {
	t.Parallel()
	s := newSessions(time.Now, rand.Reader)
	cookie, err := s.begin("Kim", viewer)
	if err != nil {
		t.Fatal(err)
	}
	kim, _ := s.use(cookie)
	for n := range noticesMax + 3 {
		s.tell(kim.key, notice{Text: fmt.Sprint(n)})
	}
	if got := s.told(kim.key); len(got) != noticesMax || got[0].Text != "0" {
		t.Errorf("told %+v", got)
	}
	if got := s.told(kim.key); len(got) > 0 {
		t.Errorf("told again %+v", got)
	}
	s.tell([32]byte{1}, notice{Text: "nobody"}) // a session that is over
}
