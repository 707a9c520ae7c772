package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	oidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// metadata is what a provider says of itself (OpenID Connect Discovery 1.0,
// RFC 8414). An endpoint that it does not have is empty.
type metadata struct {
	endpoint                oauth2.Endpoint
	introspection, userinfo string
	introspectByForm        bool // credentials go into the form, not into a header
	keys                    *kept[[]key]
}

// discover fetches the discovery document; Unavailable.
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	if err := p.config.Check(); err != nil {
		return nil, silent(err)
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.http), p.config.Issuer)
	if err != nil {
		return nil, silent(shortened(err))
	}
	var more struct {
		Keys          string   `json:"jwks_uri"`
		Introspection string   `json:"introspection_endpoint"`
		TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
		IntrospectBy  []string `json:"introspection_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, silent(err)
	}
	m := &metadata{endpoint: found.Endpoint(), introspection: more.Introspection, userinfo: found.UserInfoEndpoint()}
	for _, address := range []string{m.endpoint.AuthURL, m.endpoint.TokenURL, m.introspection, m.userinfo, more.Keys} {
		if err := p.checkEndpoint(address); err != nil {
			return nil, silent(err)
		}
	}
	m.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.byForm(more.TokenAuth) {
		m.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	m.introspectByForm = p.byForm(more.TokenAuth)
	if more.IntrospectBy != nil {
		m.introspectByForm = p.byForm(more.IntrospectBy)
	}
	m.keys = newKept(p.config.Clock, func(ctx context.Context) ([]key, error) { return p.fetchKeys(ctx, more.Keys) })
	return m, nil
}

// checkEndpoint refuses an address of the document that is not called, before a
// browser is sent there.
func (p *Provider) checkEndpoint(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if !permitted(u, p.plain) {
		return fmt.Errorf("discovery: %s: %w", u.Redacted(), errAddress)
	}
	return nil
}

// byForm tells whether our credentials go into the form. The default is the
// header (RFC 6749, 2.3.1); a public client has nothing to put there.
func (p *Provider) byForm(methods []string) bool {
	return p.config.ClientSecret == "" || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") && slices.Contains(methods, "client_secret_post")
}

// identify adds our credentials to a request that the provider answers only to clients.
func (p *Provider) identify(form url.Values, inForm bool) func(*http.Request) {
	if inForm {
		form.Set("client_id", p.config.ClientID)
		if p.config.ClientSecret != "" {
			form.Set("client_secret", p.config.ClientSecret)
		}
		return func(*http.Request) {}
	}
	return func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(p.config.ClientSecret))
	}
}

// maxCause bounds what of a library's error reaches the log: it may carry the
// whole answer of a provider.
const maxCause = 500

func shortened(err error) error {
	if text := err.Error(); len(text) > maxCause {
		return fmt.Errorf("%.*s…", maxCause, text)
	}
	return err
}
