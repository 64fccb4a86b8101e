package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// serving is an app with nothing but a listener and a store, whose disk fails
// when it is told to.
type serving struct {
	*app
	diskFails atomic.Bool
	ended     chan error
}

func serveStore(t *testing.T, ctx context.Context) *serving {
	t.Helper()
	s := &serving{ended: make(chan error, 1)}
	opened, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), store.Config{Sync: func(string) error {
		if s.diskFails.Load() {
			return syscall.EIO
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.app = &app{cfg: settings{Listen: "127.0.0.1:0"}, log: slog.New(slog.DiscardHandler), store: opened}
	s.openMetrics()
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.run(ctx) }()
	return s
}

func (s *serving) apply(t *testing.T) error {
	t.Helper()
	c := restock.Catalog{Products: []restock.CatalogProduct{{SKU: "A", Name: "A", Price: 1, OpeningStock: 1}}}
	c.Fill()
	_, err := s.store.ApplyCatalog(t.Context(), c, store.CreateMissing)
	return err
}

func TestAFailedDiskEndsTheService(t *testing.T) {
	t.Parallel()
	s := serveStore(t, t.Context())
	s.diskFails.Store(true)
	if err := s.apply(t); restock.KindOf(err) != restock.Unavailable {
		t.Errorf("I3 answered means durable: error %v of kind %d, want Unavailable", err, restock.KindOf(err))
	}
	if err := <-s.ended; err == nil || !strings.Contains(err.Error(), "disk failed") {
		t.Errorf("the service ended with %v, want that the disk failed", err)
	}
}

func TestAGoodDiskEndsNothing(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	s := serveStore(t, ctx)
	if err := s.apply(t); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-s.ended; err != nil {
		t.Errorf("a clean stop ended with %v", err)
	}
}
