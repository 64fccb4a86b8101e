package ads_test

import (
	"os"
	"path/filepath"
	"testing"
)

// readMail reads the one mail in a folder.
func readMail(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d mails, %v, want 1", len(files), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
