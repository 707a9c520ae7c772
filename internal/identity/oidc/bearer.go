package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	oidc "github.com/coreos/go-oidc/v3/oidc"
)

// maxToken bounds a token, in bytes. Tokens with hundreds of groups have tens of thousands.
const maxToken = 64 << 10

// Bearer tells whose access token this is that a client presents, as
// keystoneauth's v3oidcpassword, v3oidcclientcredentials and v3oidcaccesstoken
// do. Unauthenticated when it does not count here, Unavailable when the
// provider cannot be asked. Takes at most ten seconds.
func (p *Provider) Bearer(ctx context.Context, token string) (Claims, error) {
	if !sendable(token) {
		return nil, refused(errMalformed)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := p.known.get(ctx, keptFor)
	if err != nil {
		return nil, err
	}
	judge := p.introspected
	signed := isJWT(token)
	if signed {
		judge = p.verified
	}
	said, err := judge(ctx, m, token)
	if err != nil {
		return nil, err
	}
	if !signed || said.bare() {
		if err := p.complete(ctx, m, token, said); err != nil {
			return nil, err
		}
	}
	return p.claims(said)
}

// sendable tells whether a token may stand in a header or form.
func sendable(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isJWT tells whether a token is signed JSON: then its signature is what
// counts. An encrypted one has five parts, and only the provider can read it.
func isJWT(token string) bool {
	head, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Algorithm string `json:"alg"`
	}
	return err == nil && json.Unmarshal(raw, &header) == nil && header.Algorithm != ""
}

// verified judges a JWT by the provider's keys (RFC 9068, 4).
func (p *Provider) verified(ctx context.Context, m *metadata, token string) (object, error) {
	_, said, err := p.verify(ctx, m, token, oidc.Config{SkipClientIDCheck: true})
	if err != nil {
		return nil, err
	}
	if !p.ours(said) {
		return nil, refused(errAudience)
	}
	return said, nil
}

// introspected asks the provider for its opinion of an opaque token (RFC 7662).
func (p *Provider) introspected(ctx context.Context, m *metadata, token string) (object, error) {
	if m.introspection == "" {
		return nil, refused(errOpaque)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	a, err := p.call(ctx, http.MethodPost, m.introspection, form, p.identify(form, m.introspectByForm))
	if err != nil {
		return nil, err
	}
	switch a.status {
	case http.StatusOK:
	case http.StatusBadRequest: // where a provider has no other word for a token that is none
		return nil, refused(errInactive)
	default: // also 401: it is our credentials that are wrong, not the user's
		return nil, a.unexpected("introspection")
	}
	said, err := read(a.body)
	if err != nil {
		return nil, silent(err)
	}
	if active, ok := said["active"].(bool); !ok || !active {
		return nil, refused(errInactive)
	}
	if err := said.check(p.config.Clock.Now()); err != nil {
		return nil, refused(err)
	}
	if iss, ok := said["iss"]; ok && iss != p.config.Issuer {
		return nil, refused(errIssuer)
	}
	if !p.ours(said) {
		return nil, refused(errAudience)
	}
	return said, nil
}
