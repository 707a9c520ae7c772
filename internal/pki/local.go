package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Local is an authority that two programs on one machine tell each other by, of
// which one is not ours. Its key is a file in a folder that both can read, and it is
// good for nothing else.
type Local struct{ dir string }

// localLife is long: nobody but the folder's owner can use these keys, whenever.
const localLife = 20 * 365 * 24 * time.Hour

// EnsureLocal makes the authority and its one server's certificate when missing.
func EnsureLocal(dir, name string, clk clock.Clock) (Local, error) {
	l := Local{dir}
	if _, err := tls.LoadX509KeyPair(l.Certificate(), l.Key()); err == nil {
		return l, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return l, fmt.Errorf("keys of %s: %w", name, err)
	}
	own, err := newKey()
	if err != nil {
		return l, err
	}
	t := localTemplate(name, clk)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign
	root, err := x509.CreateCertificate(random{}, t, t, own.Public(), own)
	if err != nil {
		return l, fmt.Errorf("keys of %s: %w", name, err)
	}
	if err := l.write("ca", root, own); err != nil {
		return l, err
	}
	key, der, err := l.sign(name, clk)
	if err != nil {
		return l, err
	}
	return l, l.write("server", der, key)
}

// OpenLocal finds an authority that was made before.
func OpenLocal(dir string) Local { return Local{dir} }

func (l Local) path(name string) string { return filepath.Join(l.dir, name) }

// Authority is the file of the authority's certificate.
func (l Local) Authority() string { return l.path("ca.crt") }

// Certificate is the file of the server's.
func (l Local) Certificate() string { return l.path("server.crt") }

// Key is the file of the server's key.
func (l Local) Key() string { return l.path("server.key") }

// Client is how to call the server, called server, under a name that is ours to give.
func (l Local) Client(server, name string, clk clock.Clock) (*tls.Config, error) {
	key, der, err := l.sign(name, clk)
	if err != nil {
		return nil, err
	}
	pool, err := Pool(l.Authority())
	if err != nil {
		return nil, err
	}
	// Open vSwitch knows no newer version before 3.5; this goes over loopback.
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: server,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}

func (l Local) sign(name string, clk clock.Clock) (*ecdsa.PrivateKey, []byte, error) {
	root, err1 := readCert(l.Authority())
	signer, err2 := readKey(l.path("ca.key"))
	key, err3 := newKey()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	t := localTemplate(name, clk)
	t.DNSNames, t.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(random{}, t, root, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	return key, der, nil
}

func localTemplate(name string, clk clock.Clock) *x509.Certificate {
	now := clk.Now()
	return &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-skew), NotAfter: now.Add(localLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature}
}

func (l Local) write(name string, der []byte, key *ecdsa.PrivateKey) error {
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	if err := writeFile(l.path(name+".key"), text, 0o600); err != nil {
		return err
	}
	return writeFile(l.path(name+".crt"), certPEM(der), 0o644)
}
