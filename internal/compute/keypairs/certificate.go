package keypairs

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

const (
	rsaBits  = 2048                      // what Windows' remote management takes everywhere
	validFor = 10 * 365 * 24 * time.Hour // as upstream's certificates
)

var (
	oidAltName       = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidPrincipalName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3} // Microsoft's user principal name
)

// certify makes a self-signed client certificate for WinRM: the user is in its
// subject and, as a principal name, among its alternative names.
func certify(user string, now time.Time) (certificate, private string, err error) {
	key, err := rsa.GenerateKey(nil, rsaBits) // Go takes its randomness from the system whatever it is given
	if err != nil {
		return "", "", fault.Internalf("make a key: %w", err)
	}
	names, err := principalName(user + "@localhost")
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(id.Bytes(16)), Subject: pkix.Name{CommonName: user},
		NotBefore: now.UTC(), NotAfter: now.UTC().Add(validFor), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{{Id: oidAltName, Value: names}}}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return "", "", fault.Internalf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", fault.Internalf("encode a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), nil
}

// principalName is the subjectAltName extension with one otherName in it.
func principalName(name string) ([]byte, error) {
	type other struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	text, err := asn1.MarshalWithParams(name, "utf8")
	if err != nil {
		return nil, fault.Internalf("encode a name: %w", err)
	}
	entry, err := asn1.MarshalWithParams(other{oidPrincipalName, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text}}, "tag:0")
	if err != nil {
		return nil, fault.Internalf("encode a name: %w", err)
	}
	out, err := asn1.Marshal([]asn1.RawValue{{FullBytes: entry}})
	if err != nil {
		return nil, fault.Internalf("encode a name: %w", err)
	}
	return out, nil
}
