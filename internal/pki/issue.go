package pki

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"
)

// How long certificates live; they are renewed at half of it.
const (
	DoorLife = 365 * 24 * time.Hour // the front door's
	BusLife  = 24 * time.Hour       // on the bus, server and agents
)

// Role is what a certificate on the bus allows.
type Role string

// The roles on the bus.
const (
	RoleServer Role = "server"
	RoleAgent  Role = "agent"
)

// Names are what a certificate stands for.
type Names struct {
	Hosts     []string     // DNS names
	Addresses []netip.Addr // addresses without zone
}

// EnsureDoor makes or renews the front door's certificate: when there is none,
// when it is past half its life, of another authority, or lacks a name. It
// tells whether the files changed.
func (a *Authority) EnsureDoor(certFile, keyFile string, names Names) (changed bool, err error) {
	if cert, err := a.usable(certFile, keyFile); err == nil && covers(cert, names) {
		return false, nil
	}
	t := a.template(DoorLife)
	t.Subject = pkix.Name{Organization: []string{"Mek"}, CommonName: first(names.Hosts, "mek")}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = slices.Clone(names.Hosts)
	for _, ip := range names.Addresses {
		t.IPAddresses = append(t.IPAddresses, net.IP(ip.AsSlice()))
	}
	return true, a.issue(t, certFile, keyFile)
}

// EnsureBus makes or renews a certificate for mutual TLS on the bus. The
// peer's role and host are read from it by Peer.
func (a *Authority) EnsureBus(certFile, keyFile string, role Role, host string, names Names) (changed bool, err error) {
	uri := identity(role, host)
	if cert, err := a.usable(certFile, keyFile); err == nil && covers(cert, names) && len(cert.URIs) == 1 && cert.URIs[0].String() == uri.String() {
		return false, nil
	}
	t := a.busTemplate(role, host, names)
	return true, a.issue(t, certFile, keyFile)
}

// SignAgent answers an agent's request to renew: a chain in PEM for the public
// key, for the host that the caller has authenticated. Nothing but the key is
// taken from the request.
func (a *Authority) SignAgent(csrDER []byte, host string) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	der, err := x509.CreateCertificate(random{}, a.busTemplate(RoleAgent, host, Names{}), a.cert, csr.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return certPEM(der, a.cert.Raw), nil
}

// Peer tells the role and host that a verified bus certificate stands for.
func Peer(cert *x509.Certificate) (Role, string, error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != "mek" {
		return "", "", fmt.Errorf("certificate of %q is not one of the bus", cert.Subject.CommonName)
	}
	u := cert.URIs[0]
	role := Role(u.Host)
	if host := trimSlash(u.Path); host != "" && (role == RoleServer || role == RoleAgent) {
		return role, host, nil
	}
	return "", "", fmt.Errorf("certificate names %q", u)
}

func trimSlash(s string) string {
	if s != "" && s[0] == '/' {
		return s[1:]
	}
	return s
}

func identity(role Role, host string) *url.URL {
	return &url.URL{Scheme: "mek", Host: string(role), Path: "/" + host}
}

func (a *Authority) template(life time.Duration) *x509.Certificate {
	now := a.clock.Now()
	end := now.Add(life)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	return &x509.Certificate{SerialNumber: serial(), NotBefore: now.Add(-skew), NotAfter: end, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature}
}

func (a *Authority) busTemplate(role Role, host string, names Names) *x509.Certificate {
	t := a.template(BusLife)
	t.Subject = pkix.Name{Organization: []string{"Mek"}, CommonName: host}
	t.URIs = []*url.URL{identity(role, host)}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.DNSNames = slices.Clone(names.Hosts)
	for _, ip := range names.Addresses {
		t.IPAddresses = append(t.IPAddresses, net.IP(ip.AsSlice()))
	}
	return t
}

// issue makes a key, signs the template and writes both files. The key goes
// first: a reader that sees the new key with the old certificate tries again.
func (a *Authority) issue(t *x509.Certificate, certFile, keyFile string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(random{}, t, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("sign certificate: %w", err)
	}
	encoded, err := keyPEM(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, encoded, 0o600); err != nil {
		return err
	}
	return writeFile(certFile, certPEM(der, a.cert.Raw), 0o644)
}

// usable loads a pair and returns its certificate if it need not be replaced.
func (a *Authority) usable(certFile, keyFile string) (*x509.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	if err := pair.Leaf.CheckSignatureFrom(a.cert); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if a.worn(pair.Leaf) {
		return nil, fmt.Errorf("certificate is past half its life")
	}
	if fi, err := os.Stat(keyFile); err != nil || fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key %s can be read by others", keyFile)
	}
	return pair.Leaf, nil
}

func covers(cert *x509.Certificate, names Names) bool {
	for _, h := range names.Hosts {
		if !slices.Contains(cert.DNSNames, h) {
			return false
		}
	}
	for _, ip := range names.Addresses {
		if !slices.ContainsFunc(cert.IPAddresses, func(have net.IP) bool { return have.Equal(net.IP(ip.AsSlice())) }) {
			return false
		}
	}
	return true
}

func keyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func first(list []string, otherwise string) string {
	if len(list) > 0 {
		return list[0]
	}
	return otherwise
}
