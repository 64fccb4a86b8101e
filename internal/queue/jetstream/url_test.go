package jetstream

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheURLSaysWhereAndHow(t *testing.T) {
	t.Parallel()
	creds := filepath.Join(t.TempDir(), "shop.creds")
	if err := os.WriteFile(creds, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]address{
		"nats://a": {servers: "nats://a:4222", stream: "restock", replicas: 1},
		"nats://a:1/?replicas=3&stream=my_shop-1": {
			servers: "nats://a:1", stream: "my_shop-1", replicas: 3,
		},
		"tls://a,b:4223,[::1],[::2]:5": {
			servers: "tls://a:4222,tls://b:4223,tls://[::1]:4222,tls://[::2]:5", stream: "restock", replicas: 1,
		},
		"nats://shop:p%40ss%3Aw%2Fo%3Frd@a,b": {
			servers: "nats://a:4222,nats://b:4222", login: url.UserPassword("shop", "p@ss:w/o?rd"), stream: "restock", replicas: 1,
		},
		"nats://t0ken@a": {servers: "nats://a:4222", login: url.User("t0ken"), stream: "restock", replicas: 1},
		"nats://a?creds=" + creds: {
			servers: "nats://a:4222", stream: "restock", replicas: 1, creds: creds,
		},
	} {
		got, err := parseURL(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if diff := cmp.Diff(got, want, cmp.AllowUnexported(address{}, url.Userinfo{})); diff != "" {
			t.Errorf("%s (-got +want):\n%s", raw, diff)
		}
	}
}

// TestAWrongURLIsToldWithoutItsPassword: the text must name the mistake.
func TestAWrongURLIsToldWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                       "does not begin with nats://",
		"db:":                                    "does not begin with nats://",
		"http://u:hunter2@a":                     "does not begin with nats://",
		"nats:a":                                 "does not begin with nats://",
		"nats://":                                "lacks a host",
		"nats://u:hunter2@":                      "lacks a host",
		"nats://u:hunter2@a,":                    "lacks a host",
		"nats://u:hunter2@:4222":                 "host that is not one",
		"nats://u:hunter2@a b":                   "host that is not one",
		"nats://u:hunter2@a:x":                   "port that is not a number",
		"nats://u:hunter2@a:0":                   "port that is not a number",
		"nats://u:hunter2@a,b:65536":             "at host 2",
		"nats://u:hunter2@a/restock":             "has a path",
		"nats://u:hunter2%@a":                    "percent sign",
		"nats://@a":                              "no user before it",
		"nats://u:@a":                            "empty password",
		"nats://:hunter2@a":                      "no user before it",
		"nats://u:hunter2@a?replica=3":           `"replica" that is not known; known are stream, replicas`,
		"nats://u:hunter2@a?replicas=many":       "replicas=many",
		"nats://u:hunter2@a?replicas=0":          "from 1 to 5",
		"nats://u:hunter2@a?replicas=6":          "from 1 to 5",
		"nats://u:hunter2@a?replicas=1&stream=":  "empty option stream",
		"nats://u:hunter2@a?stream=a&stream=b":   "gives the option stream 2 times",
		"nats://u:hunter2@a?stream=a.b":          `stream name "a.b"`,
		"nats://u:hunter2@a?stream=shop-dlq":     "those of dead letters",
		"nats://u:hunter2@a?stream=%zz":          "%25",
		"nats://u:hunter2@a?creds=/nowhere/shop": "cannot be read",
		"nats://a?creds=/nowhere/shop":           "names a file in creds that cannot be read",
		"nats://u:hunter2@a?ca=/nowhere/ca":      "names a file in ca that cannot be read",
		"nats://u:hunter2@a?cert=/nowhere/cert":  "only one of cert and key",
	} {
		_, err := parseURL(raw)
		switch {
		case err == nil:
			t.Errorf("%s: no error, want %q", raw, want)
		case !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "has a user and creds"):
			t.Errorf("%s: %v, want %q in it", raw, err, want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the password is in %v", err)
		}
	}
}
