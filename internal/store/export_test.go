package store

import (
	"context"
	"database/sql"
	"testing"
	"time"
)

// ConnsInUse is how many connections to a server acts and views hold now.
func (s *Store) ConnsInUse() int {
	n := 0
	for _, db := range s.pools() {
		n += db.Stats().InUse
	}
	return n
}

// ConnsMax is how many connections there can be at most, and are open now.
func (s *Store) ConnsMax() (most, open int) {
	for _, db := range s.pools() {
		most += db.Stats().MaxOpenConnections
		open += db.Stats().OpenConnections
	}
	return most, open
}

func (s *Store) pools() []*sql.DB {
	db := s.db.(*server)
	return []*sql.DB{db.urgent.DB, db.background.DB, db.reading, db.studying}
}

// WaitForServer changes how long an act that may be repeated waits for a server
// that went away.
func (s *Store) WaitForServer(d time.Duration) { s.db.(*server).patience = d }

// Text asks the database for one text, on a connection as acts have it.
func (s *Store) Text(t *testing.T, query string) string {
	t.Helper()
	var text string
	if err := s.update(t.Context(), urgent, func(ctx context.Context, tx *tx) error { return tx.one(ctx, query, nil, &text) }); err != nil {
		t.Fatal(err)
	}
	return text
}

// SettleFile gives a finished file its name.
var SettleFile = settleFile
