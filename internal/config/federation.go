package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"
)

// Federation is how the cloud speaks with identity providers. The API knows which
// there are and what their users may do; here stands how each is asked.
type Federation struct {
	TrustedDashboards []string             `koanf:"trusted_dashboards"`        // full addresses that tokens of browsers' logins are sent to
	AuthorizationTTL  time.Duration        `koanf:"default_authorization_ttl"` // of group memberships, where a provider says nothing; 0: as long as the token
	Providers         []FederationProvider `koanf:"providers"`
	Organization      Organization         `koanf:"organization"` // in this cloud's SAML metadata; empty: none
}

// Organization is who runs the cloud.
type Organization struct {
	Name string `koanf:"name"`
	URL  string `koanf:"url"`
}

// FederationProvider is one protocol of one identity provider: exactly one of
// Issuer and Metadata is set.
type FederationProvider struct {
	IdentityProvider string `koanf:"identity_provider"`
	Protocol         string `koanf:"protocol"`

	// OpenID Connect
	Issuer       string   `koanf:"issuer"`
	ClientID     string   `koanf:"client_id"`
	ClientSecret string   `koanf:"client_secret"`
	Scopes       []string `koanf:"scopes"`
	Audiences    []string `koanf:"audiences"` // whose tokens are taken besides those for client_id
	CAFile       string   `koanf:"ca_file"`   // PEM of authorities besides the system's

	// SAML 2.0
	Metadata string `koanf:"metadata"` // file of the provider's metadata, read anew when it changes
}

func (f Federation) check(publicURL string) error {
	if len(f.Providers) > 0 && publicURL == "" {
		return errors.New("providers need public_url: they write this cloud's address into what they sign")
	}
	seen := map[[2]string]bool{}
	for _, p := range f.Providers {
		at := [2]string{p.IdentityProvider, p.Protocol}
		switch {
		case p.IdentityProvider == "" || p.Protocol == "":
			return errors.New("a provider needs identity_provider and protocol")
		case seen[at]:
			return fmt.Errorf("%s with %s is there twice", p.IdentityProvider, p.Protocol)
		case (p.Issuer == "") == (p.Metadata == ""):
			return fmt.Errorf("%s needs issuer (OpenID Connect) or metadata (SAML), not both", p.IdentityProvider)
		case p.Metadata != "" && !filepath.IsAbs(p.Metadata):
			return fmt.Errorf("metadata %q is not absolute", p.Metadata)
		case p.CAFile != "" && !filepath.IsAbs(p.CAFile):
			return fmt.Errorf("ca_file %q is not absolute", p.CAFile)
		}
		seen[at] = true
	}
	for _, d := range f.TrustedDashboards {
		if u, err := url.Parse(d); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("trusted_dashboards: %q is no address", d)
		}
	}
	if f.AuthorizationTTL < 0 {
		return errors.New("default_authorization_ttl must not be negative")
	}
	return nil
}
