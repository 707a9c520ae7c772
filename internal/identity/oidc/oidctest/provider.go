package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

// Client is an application that is registered with the provider.
type Client struct {
	ID, Secret string // a public client has no secret
	Redirects  []string
}

// User is somebody who logs in. The subject is "sub" of Claims; without it, the name.
type User struct {
	Name, Password string
	Claims         map[string]any // given by userinfo, and in id tokens
}

// Faults is how a provider misbehaves, or what it does without. The zero value behaves.
type Faults struct {
	DiscoveredIssuer string         // instead of its own, in the discovery document
	Issuer           string         // in tokens
	Nonce            string         // in id tokens
	Audience         any            // in tokens
	Subject          string         // of userinfo
	Lifetime         time.Duration  // of tokens instead of an hour; negative: expired
	NotBefore        time.Duration  // from now, in tokens
	Algorithm        string         // "none", or "HS256" keyed by the client's secret
	KeyID            string         // in headers of tokens, instead of the key's
	Extra            map[string]any // further claims of tokens; nil takes one away
	Opaque           bool           // access tokens are no JWT
	Rich             bool           // access tokens carry the user's claims
	NoIntrospection  bool
	NoUserinfo       bool
	SignedUserinfo   bool
	Padding          int            // bytes by which discovery, keys, introspection and userinfo are longer
	Status           map[string]int // what a path answers instead
	Redirect         map[string]string
	Gate             <-chan struct{} // answers wait for it, or for the client to leave
}

// Provider is an http.Handler. Safe for concurrent use.
type Provider struct {
	Issuer string
	clock  clock.Clock
	routes *http.ServeMux

	mu       sync.Mutex // guards what follows
	faults   Faults
	clients  map[string]Client
	users    map[string]User
	signedIn string
	codes    map[string]grant
	tokens   map[string]map[string]any // claims of access tokens, for introspection
	keys     []jose.JSONWebKey         // with secrets; the first signs, all are published
	calls    map[string]int
}

// grant is what a code stands for.
type grant struct{ client, user, redirect, nonce, scope, challenge string }

// New makes a provider that is to be served at an issuer's address.
func New(issuer string, c clock.Clock) *Provider {
	p := &Provider{Issuer: issuer, clock: c, clients: map[string]Client{}, users: map[string]User{}, codes: map[string]grant{},
		tokens: map[string]map[string]any{}, calls: map[string]int{}, routes: http.NewServeMux()}
	p.Rotate()
	p.routes.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	p.routes.HandleFunc("GET /keys", p.keySet)
	p.routes.HandleFunc("GET /authorize", p.authorize)
	p.routes.HandleFunc("POST /token", p.token)
	p.routes.HandleFunc("POST /introspect", p.introspect)
	p.routes.HandleFunc("GET /userinfo", p.userinfo)
	return p
}

// Start serves a provider on loopback until the test ends.
func Start(t testing.TB, c clock.Clock) *Provider {
	t.Helper()
	var p *Provider
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	p = New(server.URL, c)
	return p
}

// ServeHTTP answers, after the faults that are asked for.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls[r.URL.Path]++
	f := p.faults
	p.mu.Unlock()
	if f.Gate != nil {
		select {
		case <-f.Gate:
		case <-r.Context().Done():
			return
		}
	}
	if to := f.Redirect[r.URL.Path]; to != "" {
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		return
	}
	if status := f.Status[r.URL.Path]; status != 0 {
		w.WriteHeader(status)
		return
	}
	p.routes.ServeHTTP(w, r)
}

// Misbehave replaces the faults.
func (p *Provider) Misbehave(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// AddClient registers an application.
func (p *Provider) AddClient(c Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[c.ID] = c
}

// AddUser lets somebody log in.
func (p *Provider) AddUser(u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.Claims = maps.Clone(u.Claims); u.Claims == nil {
		u.Claims = map[string]any{}
	}
	if u.Claims["sub"] == nil {
		u.Claims["sub"] = u.Name
	}
	p.users[u.Name] = u
}

// SignIn says whose browser it is that comes to be authorized.
func (p *Provider) SignIn(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signedIn = name
}

// Calls counts the requests to a path.
func (p *Provider) Calls(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

// Rotate signs with a new key from now on, and publishes no other.
func (p *Provider) Rotate() {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), nil) // Go takes its randomness from the system whatever it is given
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.keys = nil // nothing can be signed, which every test notices
		return
	}
	p.keys = []jose.JSONWebKey{{Key: secret, KeyID: id.Hex(), Algorithm: string(jose.ES256), Use: "sig"}}
}

// Publish adds a key, secret or public, which signs nothing unless a test signs with it.
func (p *Provider) Publish(kid, use string, key any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, jose.JSONWebKey{Key: key, KeyID: kid, Use: use})
}

// KeyID names the key that signs.
func (p *Provider) KeyID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0].KeyID
}

// Sign makes a JWT of any claims with the provider's key, with no fault in it.
func (p *Provider) Sign(claims map[string]any) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return sign(claims, jose.SigningKey{Algorithm: jose.ES256, Key: p.keys[0].Key}, p.keys[0].KeyID)
}

// AccessToken gives a user's token for a client, as the token endpoint does.
func (p *Provider) AccessToken(user, client string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.users[user]
	if !ok {
		return "", fmt.Errorf("there is no user %s", user)
	}
	return p.accessToken(p.clients[client], u, "openid")
}
