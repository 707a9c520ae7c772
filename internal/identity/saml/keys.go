package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/mekcloud/mek/internal/id"
)

const (
	keyBits    = 3072
	keyLife    = 10 * 365 * 24 * time.Hour
	keyBacking = time.Hour // clocks of those who read the certificate may be late
)

var errKeyPair = errors.New("no certificate and RSA key that belong together")

// random feeds crypto functions from the only source of randomness.
type random struct{}

func (random) Read(b []byte) (int, error) { return copy(b, id.Bytes(len(b))), nil }

// NewKeyPair makes a key and a certificate of it, signed by itself and good for
// ten years from now, both in PEM. Takes about a second of processor time.
func NewKeyPair(now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := rsa.GenerateKey(random{}, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("make SAML key: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(id.Bytes(16)),
		Subject:      pkix.Name{CommonName: "SAML"},
		NotBefore:    now.Add(-keyBacking), NotAfter: now.Add(keyLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(random{}, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make SAML certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make SAML key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKeyPair reads what NewKeyPair makes, or an operator brings: PKCS #1 or
// PKCS #8, RSA, 2048 bits at least.
func ParseKeyPair(certPEM, keyPEM []byte) (*x509.Certificate, *rsa.PrivateKey, error) {
	c, _ := pem.Decode(certPEM)
	k, _ := pem.Decode(keyPEM)
	if c == nil || k == nil {
		return nil, nil, errKeyPair
	}
	cert, err := x509.ParseCertificate(c.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("SAML certificate: %w", err)
	}
	key, err := x509.ParsePKCS1PrivateKey(k.Bytes)
	if err != nil {
		var parsed any
		if parsed, err = x509.ParsePKCS8PrivateKey(k.Bytes); err != nil {
			return nil, nil, fmt.Errorf("SAML key: %w", err)
		}
		key, _ = parsed.(*rsa.PrivateKey)
	}
	if key == nil || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errKeyPair
	}
	if key.N.BitLen() < minKeyBits {
		return nil, nil, errWeakKey
	}
	return cert, key, nil
}
