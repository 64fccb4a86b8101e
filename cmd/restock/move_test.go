package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// TestNobodyServesFromAFolderThatARestoreFills, from one that the restore makes
// either. The backup is a pipe, so that the restore waits while it is looked.
func TestNobodyServesFromAFolderThatARestoreFills(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	shop, backup, data := filepath.Join(folder, "shop.db"), filepath.Join(folder, "backup"), filepath.Join(folder, "data")
	s, err := store.Open(t.Context(), "sqlite:"+shop, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(shop)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(backup, 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(backup, databaseFile)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	ended, opened := make(chan int, 1), make(chan *os.File, 1)
	go func() { ended <- run(t.Context(), []string{"restore", backup, "--data", data}, nil, &out, &errOut) }()
	go func() {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the restore reads
		if err != nil {
			t.Error(err)
		}
		opened <- f
	}()
	select {
	case code := <-ended:
		t.Fatalf("the restore ended with status %d before it read: %s", code, &errOut)
	case f := <-opened:
		a := &app{cfg: settings{Data: data, Roles: []string{"relay"}}}
		if err := a.lockRoles(); restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), "relay from this data folder") {
			t.Errorf("serving meanwhile: %v, want a conflict", err)
		}
		if _, err := f.Write(text); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if code := <-ended; code != exitOK {
		t.Fatalf("status %d: %s", code, &errOut)
	}
	a := &app{cfg: settings{Data: data, Roles: []string{allRoles}}}
	if err := a.lockRoles(); err != nil {
		t.Errorf("serving after the restore: %v", err)
	}
	if err := a.close(); err != nil {
		t.Error(err)
	}
}
