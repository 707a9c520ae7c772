package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/identity/federation"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/saml"
)

// federationOf reads how identity providers are spoken with.
func federationOf(b *builder) (federation.Options, error) {
	conf := b.Config.Identity.Federation
	out := federation.Options{PublicURL: b.Config.PublicURL, TrustedDashboards: conf.TrustedDashboards, AuthorizationTTL: conf.AuthorizationTTL}
	if o := conf.Organization; o.Name != "" {
		out.Organization = &saml.Organization{Name: o.Name, DisplayName: o.Name, URL: o.URL}
	}
	for _, p := range conf.Providers {
		one := federation.Provider{ProviderID: p.IdentityProvider, ProtocolID: p.Protocol, Metadata: p.Metadata}
		if p.Issuer != "" {
			var err error
			if one.OIDC, err = openID(p, b.Clock); err != nil {
				return out, fmt.Errorf("identity.federation.providers: %s: %w", p.IdentityProvider, err)
			}
		}
		out.Providers = append(out.Providers, one)
	}
	return out, nil
}

func openID(p config.FederationProvider, c clock.Clock) (*oidc.Config, error) {
	conf := &oidc.Config{Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, Scopes: p.Scopes, Audiences: p.Audiences, Clock: c}
	if p.CAFile != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the system's certificates: %w", err)
		}
		text, err := os.ReadFile(p.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca_file %s holds no certificate", p.CAFile)
		}
		conf.HTTP = &http.Client{Timeout: time.Minute, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	}
	return conf, conf.Check()
}
