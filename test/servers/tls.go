package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// tlsFolder is where a server has its certificate.
const tlsFolder = ".tls"

// TLSMariaDB starts a MariaDB that speaks TLS under the name localhost, and gives
// the file of the certificate that vouches for it.
func TLSMariaDB(tb testing.TB) (server *Server, authority string) {
	tb.Helper()
	return ownTLS(tb, mariaDB{}, func(folder string) []string {
		return []string{"--ssl-cert=" + filepath.Join(folder, "cert.pem"), "--ssl-key=" + filepath.Join(folder, "key.pem")}
	})
}

// TLSPostgreSQL is TLSMariaDB for PostgreSQL.
func TLSPostgreSQL(tb testing.TB) (server *Server, authority string) {
	tb.Helper()
	return ownTLS(tb, postgreSQL{}, func(folder string) []string {
		return []string{"-c", "ssl=on", "-c", "ssl_cert_file=" + filepath.Join(folder, "cert.pem"), "-c", "ssl_key_file=" + filepath.Join(folder, "key.pem")}
	})
}

func ownTLS(tb testing.TB, k kind, options func(folder string) []string) (*Server, string) {
	tb.Helper()
	s, err := start(withOptions{k, options})
	require(tb, err)
	tb.Cleanup(s.Stop)
	return s, filepath.Join(s.folder+tlsFolder, "cert.pem")
}

// withOptions is a kind of server that is started with more options, and has a
// certificate beside its data.
type withOptions struct {
	kind

	options func(folder string) []string
}

func (w withOptions) command(bin, folder string, port int) ([]string, string) {
	argv, stop := w.kind.command(bin, folder, port)
	if err := certify(folder + tlsFolder); err != nil {
		return []string{"echo", err.Error()}, stop // it says why it does not start
	}
	return append(argv, w.options(folder+tlsFolder)...), stop
}

// certify makes a certificate for localhost that vouches for itself. The private
// key is for whom the server runs as.
func certify(folder string) error {
	if err := os.Mkdir(folder, 0o755); errors.Is(err, os.ErrExist) { //nolint:gosec // the server may run as another user.
		return nil // of the first start
	} else if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644), //nolint:gosec // it is public.
		os.WriteFile(filepath.Join(folder, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), ownerRead),
		giveToServer(filepath.Join(folder, "key.pem")),
	)
}

const ownerRead = 0o600

// giveToServer lets the user of PostgreSQL read a file; root reads it anyway.
func giveToServer(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := unprivileged()
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(owner.Uid) // they are numbers on Linux
	gid, _ := strconv.Atoi(owner.Gid)
	return os.Chown(path, uid, gid)
}
