package jetstream_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

// handbook gives the code blocks of the operators' document.
func handbook(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../../../docs/queue-nats.md"))
	if err != nil {
		tb.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(text), "```") {
		if i%2 == 1 {
			blocks = append(blocks, strings.TrimPrefix(part, "\n"))
		}
	}
	return blocks
}

// TestTheHandbookShowsTheClusterThatIsTested.
func TestTheHandbookShowsTheClusterThatIsTested(t *testing.T) {
	t.Parallel()
	if slices.Contains(handbook(t), queuetest.NATSNodeConfig) {
		return
	}
	t.Errorf("docs/queue-nats.md does not show this configuration:\n%s", queuetest.NATSNodeConfig)
}

// TestThePermissionsOfTheHandbookSuffice for everything that restock does, and
// allow nothing to be deleted.
func TestThePermissionsOfTheHandbookSuffice(t *testing.T) {
	t.Parallel()
	var permissions string
	for _, block := range handbook(t) {
		if strings.HasPrefix(block, "authorization") {
			permissions = strings.NewReplacer("$RESTOCK_NATS_PASSWORD", "x", "$RESTOCK_NATS_PROVISION_PASSWORD", "x").Replace(block)
		}
	}
	server := queuetest.StartNATSWith(t, fmt.Sprintf("jetstream { store_dir: %q }\n%s", t.TempDir(), permissions))
	as := func(user string) string { return strings.Replace(server.URL(), "nats://", "nats://"+user+":x@", 1) }

	admin := provisioned(t, as("restock-provision"), single(), jetstream.Config{})
	other := open(t, as("restock-provision"), shop(), jetstream.Config{Visibility: time.Minute}) // there is something to change
	provision(t, other, true)
	if left := provision(t, other, false); len(left) != 0 {
		t.Errorf("findings %+v, want none", left)
	}
	provision(t, admin, true)

	e := open(t, as("restock"), single(), jetstream.Config{Visibility: 300 * time.Millisecond})
	m := message(1, stockLow)
	publish(t, e, topic(m))
	d := receive(t, e, stockQueue) // held by saying that it is at work
	steps := map[string]func() error{
		"Extend": func() error { return e.Extend(t.Context(), d, held) },
		"Retry":  func() error { return e.Retry(t.Context(), d, 0, "because") },
		"Later":  func() error { return e.Later(t.Context(), d, 50*time.Millisecond) },
		"Dead":   func() error { return e.Dead(t.Context(), d, "because") },
		"Done":   func() error { return e.Done(t.Context(), d) },
	}
	for _, step := range []string{"Extend", "Retry", "Later", "Dead", "Done"} {
		if err := steps[step](); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		switch step {
		case "Retry", "Later":
			d = receive(t, e, stockQueue)
		case "Dead":
			d = receive(t, e, stockQueue+driver.DeadLetterSuffix)
		}
	}
	publish(t, e, topic(message(2, stockLow)))
	if depth := depthsOf(t, e)[0]; depth.Waiting != 1 || depth.Dead != 0 {
		t.Errorf("depth %+v, want the one message that waits", depth)
	}
	complaints := make(chan error, 10)
	complain := func(err error) {
		select {
		case complaints <- err:
		default: // one is enough
		}
	}
	cannot := func(what string, call func(ctx context.Context) error) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), patience)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		select {
		case err := <-complaints:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: the server complains of %v, want that it is not allowed", what, err)
			}
			stop()
			if err := <-ended; err == nil {
				t.Errorf("%s: done all the same", what)
			}
		case err := <-ended:
			t.Errorf("%s: %v, want that the server does not allow it", what, err)
		}
	}
	for _, user := range []string{"restock", "restock-provision"} {
		js := clientToldBy(t, as(user), complain)
		cannot("the user "+user+" deletes the stream", func(ctx context.Context) error { return js.DeleteStream(ctx, "restock") })
	}
	handles := clientToldBy(t, as("restock"), complain)
	cannot("the user that handles messages provisions", func(ctx context.Context) error {
		_, err := handles.CreateStream(ctx, natsjs.StreamConfig{Name: "restock", Subjects: []string{"restock.queue.stock-queue"}})
		return err
	})
}

// TestTheNewFormOfAnswers: servers will expect them on other subjects one day,
// and some do so now.
func TestTheNewFormOfAnswers(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATSWith(t, fmt.Sprintf(`jetstream { store_dir: %q }
feature_flags { js_ack_fc_v2: true }
authorization { user: shop, password: x, permissions: { publish: { deny: "$JS.ACK.restock.>" } } }`, t.TempDir()))
	e := provisioned(t, strings.Replace(server.URL(), "nats://", "nats://shop:x@", 1), single(), jetstream.Config{})
	m := message(1, stockLow)
	publish(t, e, topic(m))
	d := receive(t, e, stockQueue)
	if err := e.Retry(t.Context(), d, 0, "because"); err != nil {
		t.Fatal(err)
	}
	d = receive(t, e, stockQueue)
	if d.ID != m.ID || d.Receives != 2 {
		t.Errorf("received %s, receive %d; want %s, receive 2", d.ID, d.Receives, m.ID)
	}
	if err := e.Done(t.Context(), d); err != nil {
		t.Error(err)
	}
}

// TestLoginsAndEncryption: each way that the URL has to prove who we are, and
// that the server is the right one.
func TestLoginsAndEncryption(t *testing.T) {
	t.Parallel()
	creds, operator := newOperator(t)
	const tls = `tls { cert_file: "@CERT@", key_file: "@KEY@", ca_file: "@CA@"`
	for name, c := range map[string]struct {
		config        string
		scheme, login string
		options       string
		wrongLogin    string
		wrongOptions  string
		wrongScheme   string
	}{
		"user and password": {
			config: `authorization { user: shop, password: "p@ss w:rd" }`,
			scheme: "nats", login: "shop:p%40ss%20w%3Ard@", wrongLogin: "shop:p@",
		},
		"token": {config: "authorization { token: t0ken }", scheme: "nats", login: "t0ken@", wrongLogin: "token@"},
		"credentials": {
			config: operator, scheme: "nats", options: "?creds=" + creds,
		},
		"encrypted or not at all": {config: "", scheme: "nats", wrongScheme: "tls"},
		"encrypted":               {config: tls + " }", scheme: "tls", options: "?ca=@CA@"},
		"encrypted, with our certificate": {
			config: tls + ", verify: true }", scheme: "tls",
			options: "?ca=@CA@&cert=@CERT@&key=@KEY@", wrongOptions: "?ca=@CA@",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := queuetest.NATSAddr(t)
			files := newCertificates(t, addr)
			queuetest.StartNATSAt(t, addr, fmt.Sprintf("jetstream { store_dir: %q }\n%s", t.TempDir(), files.Replace(c.config)))
			e := provisioned(t, c.scheme+"://"+c.login+addr+files.Replace(c.options), single(), jetstream.Config{})
			publish(t, e, topic(message(1, stockLow)))
			wrong := open(t, cmp.Or(c.wrongScheme, c.scheme)+"://"+c.wrongLogin+addr+files.Replace(c.wrongOptions), single(), jetstream.Config{})
			if published(t, wrong, message(2, stockLow)) {
				t.Error("somebody else may publish")
			}
		})
	}
}

// newOperator gives a file with credentials, and the configuration of a server
// that knows their account.
func newOperator(tb testing.TB) (file, config string) {
	tb.Helper()
	fail := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	operator, err := nkeys.CreateOperator()
	fail(err)
	account, err := nkeys.CreateAccount()
	fail(err)
	user, err := nkeys.CreateUser()
	fail(err)
	public := func(key nkeys.KeyPair) string {
		name, err := key.PublicKey()
		fail(err)
		return name
	}
	operatorClaims := jwt.NewOperatorClaims(public(operator))
	operatorJWT, err := operatorClaims.Encode(operator)
	fail(err)
	accountClaims := jwt.NewAccountClaims(public(account))
	accountClaims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit, MaxAckPending: jwt.NoLimit,
		MemoryMaxStreamBytes: jwt.NoLimit, DiskMaxStreamBytes: jwt.NoLimit,
	}
	accountJWT, err := accountClaims.Encode(operator)
	fail(err)
	system, err := nkeys.CreateAccount()
	fail(err)
	systemJWT, err := jwt.NewAccountClaims(public(system)).Encode(operator)
	fail(err)
	userJWT, err := jwt.NewUserClaims(public(user)).Encode(account)
	fail(err)
	seed, err := user.Seed()
	fail(err)
	creds, err := jwt.FormatUserConfig(userJWT, seed)
	fail(err)
	file = filepath.Join(tb.TempDir(), "shop.creds")
	fail(os.WriteFile(file, creds, 0o600))
	return file, fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		operatorJWT, public(system), public(system), systemJWT, public(account), accountJWT)
}

// newCertificates makes a certificate for a server at addr and its clients, that
// is its own authority. What it gives puts the names of the files into a text.
func newCertificates(tb testing.TB, addr string) *strings.Replacer {
	tb.Helper()
	fail := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	host, _, err := net.SplitHostPort(addr)
	fail(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fail(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.ParseIP(host)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	fail(err)
	private, err := x509.MarshalECPrivateKey(key)
	fail(err)
	dir := tb.TempDir()
	cert, secret := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	fail(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	fail(os.WriteFile(secret, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	return strings.NewReplacer("@CERT@", cert, "@CA@", cert, "@KEY@", secret)
}
