package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/hostlink/remote"
	"github.com/mekcloud/mek/internal/joining"
	"github.com/mekcloud/mek/internal/pki"
)

// busServer is the server's end of the bus. Only agents' certificates of our
// own authority pass, each for the host it names, while that belongs to the cloud.
func busServer(p Parts, members *joining.Service) (remote.ServerConfig, error) {
	conf, err := busTLS(p.Config.Bus)
	if err != nil {
		return remote.ServerConfig{}, err
	}
	return remote.ServerConfig{Hub: p.Hub, Control: p.Config.Bus.Listen, Streams: p.Config.Bus.Streams, TLS: conf, Log: p.Log,
		HostOf: hostOf(p, members)}, nil
}

// hostOf says whose a certificate is. Simulated hosts join nothing.
func hostOf(p Parts, members *joining.Service) func(*x509.Certificate) (string, error) {
	if p.Config.Simulated() {
		return joining.AgentOf
	}
	return members.Admit
}

// busTLS holds this end's certificate, renewed on disk by others, and the
// authority both ends trust.
func busTLS(f config.BusFiles) (*tls.Config, error) {
	pair, err := pki.LoadPair(f.CertFile, f.KeyFile, clock.Real{})
	if err != nil {
		return nil, fmt.Errorf("certificate for the bus: %w", err)
	}
	pool, err := pki.Pool(f.CAFile)
	if err != nil {
		return nil, fmt.Errorf("authority of the bus: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: pair.ServerCertificate, GetClientCertificate: pair.ClientCertificate,
		ClientCAs: pool, RootCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, nil
}
