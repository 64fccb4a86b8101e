package replenish

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/restock/restock"
)

// vault is a key file and a database that knows fingerprints.
type vault struct {
	mu    sync.Mutex
	text  string
	err   error // of reading the file
	down  error // of the database
	known map[byte]string
	reads int
}

func (v *vault) load() (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads++
	return v.text, v.err
}

func (v *vault) register(_ context.Context, prints map[byte]string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down != nil {
		return v.down
	}
	for id, known := range v.known {
		if prints[id] != known {
			return restock.Errorf(restock.Conflict, restock.CodeConflict, "callback key %d is missing or another", id)
		}
	}
	v.known = prints
	return nil
}

func (v *vault) change(edit func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	edit()
}

// ring runs a keyring on a vault, in a bubble whose time is moved by sleeping.
func (v *vault) ring(t *testing.T, log *bytes.Buffer) *Keyring {
	t.Helper()
	k, err := OpenKeyring(t.Context(), v.load, v.register, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return k
}

// look lets the running keyring look at its file.
func look() {
	time.Sleep(keyringInterval)
	synctest.Wait()
}

// openRing opens a keyring whose database takes everything.
func openRing(t *testing.T, load func() (string, error)) *Keyring {
	t.Helper()
	k, err := OpenKeyring(t.Context(), load, func(context.Context, map[byte]string) error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signer(k *Keyring) byte {
	raw, _ := decodeToken(k.sign(testOrder, 1))
	return raw[1]
}

func TestANewKeySignsWithoutARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		keys := testKeys()
		v := &vault{text: keys[:1].Format()}
		k := v.ring(t, &log)
		old := k.sign(testOrder, 1)
		if signer(k) != 1 {
			t.Fatalf("key %d signs at first", signer(k))
		}
		v.change(func() { v.text = keys.Format() })
		look()
		if signer(k) != 200 || v.known[200] != keys[1].Fingerprint() {
			t.Errorf("key %d signs, and the database knows %v", signer(k), v.known)
		}
		for _, token := range []string{old, k.sign(testOrder, 1)} {
			if _, _, ok := k.verify(token); !ok {
				t.Errorf("%s does not verify", token)
			}
		}
		if n := strings.Count(log.String(), KeysTakenUp); n != 1 || !strings.Contains(log.String(), "key_id=200") {
			t.Errorf("%d lines tell of it: %s", n, &log)
		}
	})
}

// TestAKeyThatTheDatabaseDoesNotKnowNeverSigns: whatever happens to the file,
// the present keys stay, and the log says so once a minute.
func TestAKeyThatTheDatabaseDoesNotKnowNeverSigns(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	third, err := keys.Next()
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*vault){
		"a key is lost":    func(v *vault) { v.text = append(keys[1:2:2], third).Format() },
		"a key is another": func(v *vault) { v.text = Keys{{ID: 1, Secret: keys[1].Secret}, keys[1], third}.Format() },
		"it is empty":      func(v *vault) { v.text = "" },
		"it is cut":        func(v *vault) { v.text = keys.Format()[:len(keys.Format())-40] },
		"it is not there":  func(v *vault) { v.err = errors.New("no such file") },
		"the database is away": func(v *vault) {
			v.text = append(keys[:2:2], third).Format()
			v.down = restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "away")
		},
		"the database has gone": func(v *vault) { v.text = append(keys[:2:2], third).Format(); v.down = errors.New("gone") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				v := &vault{text: keys.Format()}
				k := v.ring(t, &log)
				v.change(func() { spoil(v) })
				for range 100 {
					look()
				}
				if signer(k) != 200 {
					t.Errorf("key %d signs", signer(k))
				}
				if _, _, ok := k.verify(keys[:1].sign(testOrder, 1)); !ok {
					t.Error("an old key no longer verifies")
				}
				if n := strings.Count(log.String(), "\n"); n != 2 {
					t.Errorf("%d lines in 100 seconds, want 2: %s", n, &log)
				}
				v.change(func() { v.text, v.err, v.down = append(keys[:2:2], third).Format(), nil, nil })
				look()
				if signer(k) != third.ID {
					t.Errorf("once all is well, key %d signs", signer(k))
				}
			})
		})
	}
}

func TestKeysThatCannotBeUsedAreNotOpened(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for name, v := range map[string]*vault{
		"no file":         {err: errors.New("no such file")},
		"malformed":       {text: "x"},
		"another's file":  {text: testKeys().Format(), known: map[byte]string{1: "another"}},
		"an empty one":    {},
		"without the key": {text: testKeys()[1:].Format(), known: testKeys().Fingerprints()},
	} {
		if _, err := OpenKeyring(t.Context(), v.load, v.register, log); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// TestAKeyOfAnotherProcessIsLearnedAtOnce: the callback comes before we have
// looked at the file again.
func TestAKeyOfAnotherProcessIsLearnedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		keys := testKeys()
		v := &vault{text: keys[:1].Format()}
		k := v.ring(t, &log)
		mux, store := guarded(k)
		v.change(func() { v.text = keys.Format() })
		if got := answered(mux, "/product/donut?token="+keys.sign(testOrder, 1), ""); !strings.HasPrefix(got, "200") || store.received.Load() != 1 {
			t.Errorf("answered %s", got)
		}
		// A key that nobody has is looked for, but not for everybody who asks.
		before := v.reads
		stranger := Keys{{ID: 9, Secret: bytes.Repeat([]byte{9}, keyBytesMin)}}.sign(testOrder, 1)
		for range 1000 {
			if got := answered(mux, "/product/donut?token="+stranger, ""); !strings.HasPrefix(got, "401") {
				t.Fatalf("answered %s", got)
			}
		}
		if n := v.reads - before; n < 1 || n > learnRateMax {
			t.Errorf("the file was read %d times for 1000 strangers, want at most %d", n, learnRateMax)
		}
	})
}

// TestRefusalsAreCountedAndLoggedOnceASecond: each address has a line of its
// own, and all get the same answer.
func TestRefusalsAreCountedAndLoggedOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := replenisher(&witness{}, func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		mux := http.NewServeMux()
		r.Register(mux)
		post := func(address string) {
			t.Helper()
			request := httptest.NewRequest(http.MethodPost, "/product/donut?token=geheim", nil)
			request.RemoteAddr = address
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, request)
			if w.Code != http.StatusUnauthorized || w.Header().Get("Retry-After") != "" {
				t.Fatalf("I10 answered %d", w.Code)
			}
		}
		for range 3 {
			for range 500 {
				post("192.0.2.1:1")
			}
			post("192.0.2.2:1")
			time.Sleep(time.Second)
		}
		if n := r.CallbacksRefused(); n != 3*501 {
			t.Errorf("%d are counted, want %d", n, 3*501)
		}
		if n := strings.Count(log.String(), "\n"); n != 6 {
			t.Errorf("%d lines, want one a second for each of two addresses:\n%s", n, &log)
		}
		if n := strings.Count(log.String(), "unlogged=499"); n != 2 || strings.Contains(log.String(), "geheim") {
			t.Errorf("I10 %d lines tell of those that were left out, want 2, and none a token:\n%s", n, &log)
		}
	})
}
