package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

const (
	rootLife         = 10 * 365 * 24 * time.Hour
	intermediateLife = 2 * 365 * 24 * time.Hour
	skew             = 5 * time.Minute // clocks of hosts may differ by this much
)

// Files says where an authority keeps its parts.
type Files struct {
	RootCert, RootKey                 string // the key is sealed
	IntermediateCert, IntermediateKey string // the key is sealed
}

// FilesIn is the usual places below a data directory.
func FilesIn(dataDir string) Files {
	return Files{
		RootCert: filepath.Join(dataDir, "tls", "ca.crt"), RootKey: filepath.Join(dataDir, "secrets", "root.key.sealed"),
		IntermediateCert: filepath.Join(dataDir, "tls", "intermediate.crt"),
		IntermediateKey:  filepath.Join(dataDir, "secrets", "intermediate.key.sealed"),
	}
}

// Authority signs certificates with the intermediate. Safe for concurrent use.
type Authority struct {
	clock clock.Clock
	root  *x509.Certificate
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
}

// OpenAuthority loads the authority, making root and intermediate when there
// are none, and a new intermediate when the present one is past half its life.
// name is shown to people who look at the root: the cloud's host name.
func OpenAuthority(files Files, master []byte, name string, clk clock.Clock) (*Authority, error) {
	sealer, err := NewSealer(master, "authority keys")
	if err != nil {
		return nil, err
	}
	for _, path := range []string{files.RootCert, files.RootKey} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
	}
	if err := makeRoot(files, sealer, name, clk.Now()); err != nil {
		return nil, err
	}
	root, err := readCert(files.RootCert)
	if err != nil {
		return nil, err
	}
	a := &Authority{clock: clk, root: root}
	if err := a.loadIntermediate(files, sealer); err == nil && !a.worn(a.cert) {
		return a, nil
	}
	if err := makeIntermediate(files, sealer, root, clk.Now()); err != nil {
		return nil, err
	}
	return a, a.loadIntermediate(files, sealer)
}

// worn tells whether a certificate is past half its life and should be replaced.
func (a *Authority) worn(c *x509.Certificate) bool {
	return !a.clock.Now().Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2))
}

func makeRoot(files Files, sealer *Sealer, name string, now time.Time) error {
	if _, err := os.Stat(files.RootCert); err == nil {
		return nil
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"Mek"}, CommonName: "Mek root of " + name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(rootLife), IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(random{}, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("sign root certificate: %w", err)
	}
	if err := sealKey(files.RootKey, "root", sealer, key); err != nil {
		return err
	}
	return writeFile(files.RootCert, certPEM(der), 0o644) // last: its presence says that the key is there
}

func makeIntermediate(files Files, sealer *Sealer, root *x509.Certificate, now time.Time) error {
	rootKey, err := openKey(files.RootKey, "root", sealer)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"Mek"}, CommonName: "Mek intermediate " + now.Format("2006-01")},
		NotBefore: now.Add(-skew), NotAfter: now.Add(intermediateLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(random{}, t, root, key.Public(), rootKey)
	if err != nil {
		return fmt.Errorf("sign intermediate certificate: %w", err)
	}
	if err := sealKey(files.IntermediateKey, "intermediate", sealer, key); err != nil {
		return err
	}
	return writeFile(files.IntermediateCert, certPEM(der), 0o644)
}

func (a *Authority) loadIntermediate(files Files, sealer *Sealer) error {
	cert, err := readCert(files.IntermediateCert)
	if err != nil {
		return err
	}
	key, err := openKey(files.IntermediateKey, "intermediate", sealer)
	if err != nil {
		return err
	}
	if err := cert.CheckSignatureFrom(a.root); err != nil {
		return fmt.Errorf("intermediate certificate: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return errors.New("intermediate certificate and key do not match")
	}
	a.cert, a.key = cert, key
	return nil
}

// random feeds crypto functions from the only source of randomness.
type random struct{}

func (random) Read(b []byte) (int, error) { return copy(b, id.Bytes(len(b))), nil }

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random{})
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

func serial() *big.Int {
	b := id.Bytes(16)
	b[0] = b[0]&0x7f | 0x01 // positive, and never zero
	return new(big.Int).SetBytes(b)
}

func sealKey(path, name string, s *Sealer, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return writeFile(path, s.Seal(name, der), 0o600)
}

func openKey(path, name string, s *Sealer) (*ecdsa.PrivateKey, error) {
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	der, err := s.Open(name, sealed)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key %s is a %T", path, key)
	}
	return ec, nil
}

func certPEM(ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// readCert reads the first certificate of a file.
func readCert(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}
