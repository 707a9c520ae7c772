package oidc

import (
	"context"
	"encoding/json"
	"net/http"

	oidc "github.com/coreos/go-oidc/v3/oidc"
)

// complete adds what the userinfo endpoint says and the token does not. A
// provider that has none, or none for this token (a client's own, or one
// without the scope openid), adds nothing. One that fails is no such case: with
// less claims the user may become another.
func (p *Provider) complete(ctx context.Context, m *metadata, token string, said object) error {
	if m.userinfo == "" {
		return nil
	}
	a, err := p.call(ctx, http.MethodGet, m.userinfo, nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
	if err != nil {
		return err
	}
	switch a.status {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return nil
	default:
		return a.unexpected("userinfo")
	}
	if a.kind == "application/jwt" {
		if a.body, err = p.opened(ctx, m, string(a.body)); err != nil {
			return err
		}
	}
	info, err := read(a.body)
	if err != nil {
		return silent(err)
	}
	sub, has := said["sub"]
	if info.text("sub") == "" || has && sub != info["sub"] {
		return refused(errSubject)
	}
	for name, value := range info {
		if _, ok := said[name]; !ok {
			said[name] = value
		}
	}
	return nil
}

// opened gives the text of a signed userinfo answer, whose issuer and audience
// are optional (OpenID Connect Core 1.0, 5.3.2).
func (p *Provider) opened(ctx context.Context, m *metadata, raw string) ([]byte, error) {
	l := &lookup{keys: m.keys}
	conf := &oidc.Config{SkipClientIDCheck: true, SkipIssuerCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: algorithmNames()}
	t, err := oidc.NewVerifier(p.config.Issuer, l, conf).Verify(ctx, raw)
	if l.failure != nil {
		return nil, l.failure
	}
	if err != nil {
		return nil, silent(shortened(err))
	}
	if t.Issuer != "" && t.Issuer != p.config.Issuer {
		return nil, refused(errIssuer)
	}
	var payload json.RawMessage
	if err := t.Claims(&payload); err != nil {
		return nil, silent(err)
	}
	return payload, nil
}
