package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/restock/restock/internal/replenish"
)

// TestRotationsAtOnceEachAddAKey: none overwrites the key of another, with
// which a server may have signed already, and a reader never sees half a file.
func TestRotationsAtOnceEachAddAKey(t *testing.T) {
	t.Parallel()
	const rotations = 20
	dir := t.TempDir()
	path := filepath.Join(dir, keysFile)
	if _, err := writeSecret(path, "# ours\n"+replenish.NewKeys().Format()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range rotations {
		all.Go(func() {
			var out, errOut bytes.Buffer
			if code := run(t.Context(), []string{"callback-keys", "rotate", "--data", dir}, nil, &out, &errOut); code != exitOK {
				t.Errorf("status %d: %s", code, &errOut)
			}
			if _, err := replenish.ParseKeys(read(t, path)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text := read(t, path)
	keys, err := replenish.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 1+rotations || len(keys.Fingerprints()) != 1+rotations || keys[0].ID != 1 || !strings.HasPrefix(text, "# ours\n") {
		t.Errorf("%d keys after %d rotations:\n%s", len(keys), rotations, text)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v; want the key file alone", left, err)
	}
}

// TestTheKeyFileStaysItsOwners: root rotates, and the server, which is not root,
// still reads the file. Without root it can only be seen that nothing changes.
func TestTheKeyFileStaysItsOwners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, keysFile)
	if _, err := writeSecret(path, replenish.NewKeys().Format()); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 4321, 4322
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"callback-keys", "rotate", "--data", dir}, nil, &out, &out); code != exitOK {
		t.Fatalf("status %d: %s", code, &out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != uid || int(owner.Gid) != gid || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %d:%d with mode %s, want %d:%d and 0600", owner.Uid, owner.Gid, info.Mode(), uid, gid)
	}
}

func TestALinkToTheKeyFileStaysALink(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	target, link := filepath.Join(elsewhere, "keys"), filepath.Join(dir, keysFile)
	if _, err := writeSecret(target, strings.TrimRight(replenish.NewKeys().Format(), "\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"callback-keys", "rotate", "--callback-keys-file", link}, nil, &out, &out); code != exitOK {
		t.Fatalf("status %d: %s", code, &out)
	}
	keys, err := replenish.ParseKeys(read(t, target))
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys where the link leads, %v", len(keys), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
}

func TestKeysAreShownWithoutTheirSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fresh := replenish.NewKeys()
	if _, err := writeSecret(filepath.Join(dir, keysFile), fresh.Format()); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"rotate"}, {"rotate", "--json"}, {}} {
		var out bytes.Buffer
		if code := run(t.Context(), append(append([]string{"callback-keys"}, args...), "--data", dir), nil, &out, &out); code != exitOK {
			t.Fatalf("%v: status %d: %s", args, code, &out)
		}
		keys, err := replenish.ParseKeys(read(t, filepath.Join(dir, keysFile)))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if secret := strings.Fields(key.Line())[1]; strings.Contains(out.String(), secret[:16]) {
				t.Errorf("I10 %v tells a secret: %s", args, &out)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
