package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Pair is a certificate and key in files that are replaced while we run. It
// looks at the files at most once a second and keeps what it has when the new
// ones do not fit together. Safe for concurrent use.
type Pair struct {
	certFile, keyFile string
	clock             clock.Clock

	mu      sync.Mutex
	current *tls.Certificate
	stamp   time.Time // modification time of the certificate that is loaded
	checked time.Time
}

// LoadPair loads the files once and reports what is wrong with them.
func LoadPair(certFile, keyFile string, clk clock.Clock) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile, clock: clk}
	if _, err := p.get(); err != nil {
		return nil, err
	}
	return p, nil
}

// ServerCertificate suits tls.Config.GetCertificate.
func (p *Pair) ServerCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.get() }

// ClientCertificate suits tls.Config.GetClientCertificate.
func (p *Pair) ClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return p.get()
}

func (p *Pair) get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if p.current != nil && now.Sub(p.checked) < time.Second {
		return p.current, nil
	}
	p.checked = now
	fi, err := os.Stat(p.certFile)
	if err == nil && (p.current == nil || !fi.ModTime().Equal(p.stamp)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.certFile, p.keyFile); err == nil {
			p.current, p.stamp = &pair, fi.ModTime()
		}
	}
	if p.current == nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	return p.current, nil
}

// Pool reads trusted certificates from a file.
func Pool(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read trusted certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// Expires is when the first certificate of a file ends.
func Expires(file string) (time.Time, error) {
	cert, err := readCert(file)
	if err != nil {
		return time.Time{}, err
	}
	return cert.NotAfter, nil
}
