package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/mekcloud/mek/internal/clock"
)

// LoadAuthority loads an authority that OpenAuthority made, and makes nothing:
// for those who may not write its files.
func LoadAuthority(files Files, master []byte, clk clock.Clock) (*Authority, error) {
	sealer, err := NewSealer(master, "authority keys")
	if err != nil {
		return nil, err
	}
	root, err := readCert(files.RootCert)
	if err != nil {
		return nil, err
	}
	a := &Authority{clock: clk, root: root}
	return a, a.loadIntermediate(files, sealer)
}

// RootPEM is the certificate that everybody trusts.
func (a *Authority) RootPEM() []byte { return certPEM(a.root.Raw) }

// Fingerprint names a certificate by the hash of its bytes.
func Fingerprint(certPEM []byte) (string, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", errors.New("there is no certificate")
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:]), nil
}

// KeyHash names the public key of a certificate. A host keeps its key for as
// long as it belongs to a cloud.
func KeyHash(cert *x509.Certificate) string { return hashKey(cert.RawSubjectPublicKeyInfo) }

// RequestKeyHash checks that whoever made a request has its key, and names the key.
func RequestKeyHash(csrDER []byte) (string, error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return "", fmt.Errorf("certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return "", fmt.Errorf("certificate request: %w", err)
	}
	return hashKey(csr.RawSubjectPublicKeyInfo), nil
}

func hashKey(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// HostRequest is a request for a certificate with the key of a file, which is
// made when there is none.
func HostRequest(keyFile string) (csrDER []byte, err error) {
	key, err := readKey(keyFile)
	if errors.Is(err, os.ErrNotExist) {
		if key, err = newKey(); err != nil {
			return nil, err
		}
		encoded, err := keyPEM(key)
		if err != nil {
			return nil, err
		}
		if err := writeFile(keyFile, encoded, 0o600); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(random{}, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err // the caller asks whether the file is there
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key %s is a %T", path, key)
	}
	return ec, nil
}

// StoreHost keeps a chain that a server signed for the key of a file, if it
// fits the key and comes from the root.
func StoreHost(certFile, keyFile string, chain, root []byte, host string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("key of this host: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fmt.Errorf("certificate of this host: %w", err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		return errors.New("certificate of this host: there is no root")
	}
	between.AppendCertsFromPEM(chain)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("certificate of this host: %w", err)
	}
	if role, name, err := Peer(pair.Leaf); err != nil || role != RoleAgent || name != host {
		return errors.Join(fmt.Errorf("the certificate is not of host %s", host), err)
	}
	return writeFile(certFile, chain, 0o644)
}

// Worn tells whether the certificate of a file should be replaced: it is past
// half its life, or it cannot be read.
func Worn(certFile string, clk clock.Clock) bool {
	cert, err := readCert(certFile)
	return err != nil || (&Authority{clock: clk}).worn(cert)
}

// StoreRoot keeps the root certificate that a cloud trusts.
func StoreRoot(file string, root []byte) error {
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, root) {
		return nil
	}
	return writeFile(file, root, 0o644)
}
