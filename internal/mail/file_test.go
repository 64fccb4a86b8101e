package mail_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/mail"
)

func newFiles(t *testing.T) (*mail.Files, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data", "mail")
	files, err := mail.NewFiles(dir)
	if err != nil {
		t.Fatalf("NewFiles: %v", err)
	}
	return files, dir
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// readOnly gives the content of the one file.
func readOnly(t *testing.T, dir string) []byte {
	t.Helper()
	names := list(t, dir)
	if len(names) != 1 {
		t.Fatalf("files %q, want one", names)
	}
	content, err := os.ReadFile(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return content
}

func TestFileIsNamedForPeople(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	if err := files.Send(t.Context(), korean()); err != nil {
		t.Fatalf("Send: %v", err)
	}
	want := []string{"20260304T050607Z-ad-stop-ads@donut.example-ff5d29a77007.eml"}
	if diff := cmp.Diff(list(t, dir), want); diff != "" {
		t.Errorf("got (-) want (+)\n%s", diff)
	}
}

func TestFileNameIsSafeWhateverTheKind(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	m := english()
	m.Kind = "../../광고 stop\x00" + strings.Repeat("x", 300)
	m.To = "a/../b{}|" + strings.Repeat("x", 80) + "@donut.example"
	if err := files.Send(t.Context(), m); err == nil {
		t.Error("an address with '..' was taken")
	}
	m.To = "a/b{}|" + strings.Repeat("x", 80) + "@donut.example"
	if err := files.Send(t.Context(), m); err != nil {
		t.Fatalf("Send: %v", err)
	}
	name := list(t, dir)[0]
	unsafe := func(r rune) bool { return r > '~' || strings.ContainsRune("/\\\x00 {}|", r) }
	if strings.ContainsFunc(name, unsafe) || len(name) > 160 {
		t.Errorf("name %q", name)
	}
}

func TestFileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	if err := files.Send(t.Context(), english()); err != nil {
		t.Fatalf("Send: %v", err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, list(t, dir)[0]): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatalf("stat: %v", err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", info.Name(), got, want)
		}
	}
}

func TestFileIsReplacedByARepeat(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := files.Send(t.Context(), korean()); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(readMail(t, readOnly(t, dir)), wantKorean()); diff != "" {
		t.Errorf("got (-) want (+)\n%s", diff)
	}
	other := korean()
	other.ID = "2@shop.example"
	if err := files.Send(t.Context(), other); err != nil {
		t.Fatalf("Send: %v", err)
	}
	if got := list(t, dir); len(got) != 2 {
		t.Errorf("files %q, want two", got)
	}
}

func TestFileThatCannotBeWrittenLeavesNothingAndIsWorthARepeat(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	if err := files.Send(t.Context(), english()); err != nil {
		t.Fatalf("Send: %v", err)
	}
	// A folder in the file's place is what no rename can replace.
	path := filepath.Join(dir, list(t, dir)[0])
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatalf("putting a folder there: %v", err)
	}
	if err := files.Send(t.Context(), english()); err == nil || mail.Permanent(err) {
		t.Errorf("error %v, want one that is worth a repeat", err)
	}
	if got := list(t, dir); len(got) != 1 {
		t.Errorf("files %q, want only the folder", got)
	}
}

func TestFileIsNotWrittenAfterTheEnd(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := files.Send(ctx, english()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if got := list(t, dir); len(got) > 0 {
		t.Errorf("files %q, want none", got)
	}
}
