package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"

	oidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/mekcloud/mek/internal/fault"
)

// AuthCodeURL is where a browser is sent to log in. The caller mints state,
// nonce and verifier (43 to 128 characters, RFC 7636) for this login alone,
// keeps them for the browser that it sends, and forgets them when it comes
// back: state says that it is the same browser, nonce that the id token is of
// this login, verifier that the code is. Unavailable when the provider cannot
// be asked, or has no such endpoint.
func (p *Provider) AuthCodeURL(ctx context.Context, redirectURI, state, nonce, verifier string) (string, error) {
	if state == "" || nonce == "" || verifier == "" {
		return "", fault.Internalf("a login without state, nonce or verifier")
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := p.known.get(ctx, keptFor)
	if err != nil {
		return "", err
	}
	if m.endpoint.AuthURL == "" {
		return "", silent(errNoEndpoint)
	}
	return p.oauth(m, redirectURI).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

func (p *Provider) oauth(m *metadata, redirectURI string) *oauth2.Config {
	scopes := p.config.Scopes
	if !slices.Contains(scopes, oidc.ScopeOpenID) {
		scopes = slices.Concat([]string{oidc.ScopeOpenID}, scopes)
	}
	return &oauth2.Config{ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, Endpoint: m.endpoint, RedirectURL: redirectURI, Scopes: scopes}
}

// Exchange tells who has logged in, by the code that the browser brought back
// and what was minted for AuthCodeURL. The caller has compared state already.
// Unauthenticated when code or id token do not count, Unavailable when the
// provider cannot be asked. A code works once. Takes at most ten seconds.
func (p *Provider) Exchange(ctx context.Context, redirectURI, code, nonce, verifier string) (Claims, error) {
	if nonce == "" || verifier == "" {
		return nil, fault.Internalf("a login without nonce or verifier")
	}
	if code == "" {
		return nil, refused(errNoCode)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := p.known.get(ctx, keptFor)
	if err != nil {
		return nil, err
	}
	if m.endpoint.TokenURL == "" {
		return nil, silent(errNoEndpoint)
	}
	t, err := p.oauth(m, redirectURI).Exchange(oidc.ClientContext(ctx, p.http), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, exchangeFault(err)
	}
	said, err := p.idToken(ctx, m, t, nonce)
	if err != nil {
		return nil, err
	}
	if sendable(t.AccessToken) {
		if err := p.complete(ctx, m, t.AccessToken, said); err != nil {
			return nil, err
		}
	}
	return p.claims(said)
}

// idToken judges the id token of a login (OpenID Connect Core 1.0, 3.1.3.7).
func (p *Provider) idToken(ctx context.Context, m *metadata, t *oauth2.Token, nonce string) (object, error) {
	raw, _ := t.Extra("id_token").(string)
	if raw == "" || len(raw) > maxToken {
		return nil, refused(errNoIDToken)
	}
	id, said, err := p.verify(ctx, m, raw, oidc.Config{ClientID: p.config.ClientID})
	if err != nil {
		return nil, err
	}
	azp, hasParty := said["azp"]
	switch {
	case subtle.ConstantTimeCompare([]byte(said.text("nonce")), []byte(nonce)) != 1:
		return nil, refused(errNonce)
	case hasParty && azp != p.config.ClientID:
		return nil, refused(errParty)
	case said.text("sub") == "":
		return nil, refused(errSubject)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(t.AccessToken); err != nil {
			return nil, refused(err)
		}
	}
	return said, nil
}

// oursToMend are errors of a token endpoint (RFC 6749, 5.2) that no browser causes.
var oursToMend = []string{"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "temporarily_unavailable", "server_error"}

// exchangeFault tells a wrong code, which is the browser's, from a provider
// that fails or does not know us.
func exchangeFault(err error) error {
	var reply *oauth2.RetrieveError
	if !errors.As(err, &reply) {
		return silent(shortened(err))
	}
	why := fmt.Errorf("the token endpoint answers %d %.100q", reply.Response.StatusCode, reply.ErrorCode)
	if reply.ErrorCode == "" || reply.Response.StatusCode >= http.StatusInternalServerError || slices.Contains(oursToMend, reply.ErrorCode) {
		return silent(why)
	}
	return refused(why)
}
