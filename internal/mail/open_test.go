package mail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/restock/restock/internal/mail"
)

func TestOpenGivesTheSenderOfTheURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := mail.Config{Folder: filepath.Join(dir, "default")}
	for rawURL, want := range map[string]string{
		"file:" + dir + "/a":                       "file:" + dir + "/a",
		"FILE://" + dir + "/b c":                   "file:" + dir + "/b c",
		"file:":                                    "file:" + dir + "/default",
		"smtp://relay.example:25":                  "smtp://relay.example:25",
		"smtp://relay.example":                     "smtp://relay.example:587",
		"SMTPS://relay.example/":                   "smtps://relay.example:465",
		"smtps://[::1]:4650?tls=required":          "smtps://[::1]:4650",
		"smtp://me%40x:s%2Fcret@relay.example":     "smtp://me%40x:***@relay.example:587",
		"smtp://relay.example?tls=none":            "smtp://relay.example:587",
		"smtp://me:hunter2@localhost:25?tls=none":  "smtp://me:***@localhost:25",
		"smtp://me:hunter2@r.example?tls=required": "smtp://me:***@r.example:587",
		"ses:":            "ses:",
		"ses://eu-west-1": "ses:eu-west-1",
		"ses:ap-northeast-2?configuration-set=shop": "ses:ap-northeast-2?configuration-set=shop",
	} {
		sender, err := mail.Open(rawURL, cfg)
		if err != nil {
			t.Errorf("Open(%q): %v", rawURL, err)
			continue
		}
		if got := fmt.Sprint(sender); got != want {
			t.Errorf("Open(%q) is %s, want %s", rawURL, got, want)
		}
	}
}

func TestOpenSaysWhatIsAllowedAndNoPassword(t *testing.T) {
	t.Parallel()
	for _, rawURL := range []string{
		"", "mail", "ses:somewhere", "ses:eu-west-1?set=shop", "ses:eu-west-1?configuration-set=a b", "ses:?endpoint=x", "http://relay.example", "sendmail:/usr/bin", "file:", "file://host/dir",
		"smtp:", "smtp://", "smtp:relay.example", "smtp://:25", "smtp://relay.example:0", "smtp://relay.example:65536",
		"smtp://relay.example:smtp", "smtp://relay.example/path", "smtp://relay.example?tls=maybe",
		"smtp://relay.example?tls=",
		"smtp://relay.example?starttls=none", "smtps://relay.example?tls=none", "smtp://relay.example?tls=none&tls2=1",
		"smtp://me@relay.example", "smtp://:hunter2@relay.example", "smtp://me:@relay.example",
		"smtp://me:hunter2@relay.example?tls=none", "smtp://me:hun%00ter2@relay.example",
		"smtp://me:hunter2#x@relay.example:25", "smtp://me:1#hunter2@relay.example:25", "smtp://me:1/hunter2@relay.example",
		"smtp://me:1?hunter2@relay.example", "smtp://me:%hunter2@relay.example", "smtp://me:hunter2 @relay.example",
		"hunter2://relay.example",
	} {
		sender, err := mail.Open(rawURL, mail.Config{})
		if sender != nil || !mail.Permanent(err) {
			t.Errorf("Open(%q) = %v, %v; want an error of kind Invalid", rawURL, sender, err)
			continue
		}
		if text := err.Error(); strings.Contains(text, "hunter2") || !strings.Contains(text, "smtps://") {
			t.Errorf("Open(%q): %s", rawURL, text)
		}
	}
}

func TestOpenRefusesAFolderThatIsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatalf("writing: %v", err)
	}
	for _, rawURL := range []string{"file:" + path, "file:" + path + "/mail"} {
		if sender, err := mail.Open(rawURL, mail.Config{}); err == nil || sender != nil {
			t.Errorf("Open(%q) = %v, %v; want an error", rawURL, sender, err)
		}
	}
}

func TestPrintingASenderShowsNoPassword(t *testing.T) {
	t.Parallel()
	sender, err := mail.NewSMTP("smtp://me:hunter2@relay.example", mail.Config{})
	if err != nil {
		t.Fatalf("NewSMTP: %v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{sender, *sender, struct{ S any }{sender}} {
			if got := fmt.Sprintf(format, value); strings.Contains(got, "hunter2") {
				t.Errorf("%s: %s", format, got)
			}
		}
	}
}

func TestLocalIsWhatNobodyReceives(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]bool{
		"file:": true, "file:mail": true, "FILE:///mail": true,
		"": false, "file": false, "smtp://localhost": false, "smtps://relay.example": false,
	} {
		if got := mail.Local(rawURL); got != want {
			t.Errorf("Local(%q) = %v, want %v", rawURL, got, want)
		}
	}
}
