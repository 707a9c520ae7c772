package oidctest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/mekcloud/mek/internal/id"
)

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left needs no answer
}

// refuse answers as RFC 6749, 5.2.
func refuse(w http.ResponseWriter, status int, code string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="oidctest"`)
	}
	reply(w, status, map[string]any{"error": code})
}

// padded makes an answer too long, when that is asked for.
func (p *Provider) padded(body map[string]any) map[string]any {
	if p.faults.Padding > 0 {
		body["padding"] = strings.Repeat("x", p.faults.Padding)
	}
	return body
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	issuer := p.Issuer
	if p.faults.DiscoveredIssuer != "" {
		issuer = p.faults.DiscoveredIssuer
	}
	body := map[string]any{"issuer": issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/keys", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
		"grant_types_supported":                 []string{"authorization_code", "password", "client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"}}
	if !p.faults.NoIntrospection {
		body["introspection_endpoint"] = p.Issuer + "/introspect"
	}
	if !p.faults.NoUserinfo {
		body["userinfo_endpoint"] = p.Issuer + "/userinfo"
	}
	reply(w, http.StatusOK, p.padded(body))
}

func (p *Provider) keySet(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	public := make([]jose.JSONWebKey, len(p.keys))
	for i, k := range p.keys {
		if public[i] = k.Public(); public[i].Key == nil {
			public[i] = k // one that has no public half
		}
	}
	reply(w, http.StatusOK, p.padded(map[string]any{"keys": public}))
}

// authorize sends the browser back with a code of who is signed in. Whatever is
// wrong with client or address is told to the browser, not sent there.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	c, ok := p.clients[q.Get("client_id")]
	to, err := url.Parse(q.Get("redirect_uri"))
	if !ok || err != nil || !slices.Contains(c.Redirects, q.Get("redirect_uri")) {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	back := to.Query()
	back.Set("state", q.Get("state"))
	switch {
	case q.Get("response_type") != "code":
		back.Set("error", "unsupported_response_type")
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		back.Set("error", "invalid_request")
	case p.signedIn == "":
		back.Set("error", "login_required")
	default:
		code := id.Hex()
		p.codes[code] = grant{client: c.ID, user: p.signedIn, redirect: q.Get("redirect_uri"), nonce: q.Get("nonce"), scope: q.Get("scope"),
			challenge: q.Get("code_challenge")}
		back.Set("code", code)
	}
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// client is the application that makes a request: by header or form.
func (p *Provider) client(r *http.Request) (Client, bool) {
	name, secret := r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		// Escaped as RFC 6749, 2.3.1 has it; keystoneauth sends both as they are.
		if plain, err := url.QueryUnescape(user); err == nil {
			user = plain
		}
		if plain, err := url.QueryUnescape(password); err == nil {
			password = plain
		}
		name, secret = user, password
	}
	c, ok := p.clients[name]
	return c, ok && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.client(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	var u User
	var nonce string
	scope := r.PostFormValue("scope")
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		var g grant
		g, ok = p.redeem(c, r)
		u, nonce, scope = p.users[g.user], g.nonce, g.scope
	case "password":
		u, ok = p.users[r.PostFormValue("username")]
		ok = ok && subtle.ConstantTimeCompare([]byte(u.Password), []byte(r.PostFormValue("password"))) == 1
	case "client_credentials":
		ok = c.Secret != ""
		u, scope = User{Name: c.ID, Claims: map[string]any{"sub": c.ID}}, strings.ReplaceAll(scope, "openid", "")
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	if !ok {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	p.issue(w, c, u, scope, nonce)
}

// redeem takes a code, which is gone then whatever comes of it.
func (p *Provider) redeem(c Client, r *http.Request) (grant, bool) {
	g, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	proven := g.challenge == "" || g.challenge == encode(sum[:])
	return g, ok && g.client == c.ID && g.redirect == r.PostFormValue("redirect_uri") && proven
}

func (p *Provider) issue(w http.ResponseWriter, c Client, u User, scope, nonce string) {
	access, err := p.accessToken(c, u, scope)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error")
		return
	}
	body := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "scope": scope}
	if slices.Contains(strings.Fields(scope), "openid") {
		if body["id_token"], err = p.idToken(c, u, nonce, access); err != nil {
			refuse(w, http.StatusInternalServerError, "server_error")
			return
		}
	}
	reply(w, http.StatusOK, body)
}

// introspect answers any registered client (RFC 7662).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.client(r); !ok || p.faults.NoIntrospection {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	claims, ok := p.live(r.PostFormValue("token"))
	if !ok {
		reply(w, http.StatusOK, p.padded(map[string]any{"active": false}))
		return
	}
	body := maps.Clone(claims)
	body["active"], body["token_type"] = true, "Bearer"
	p.change(body)
	reply(w, http.StatusOK, p.padded(body))
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	u, known := p.holder(token)
	if !ok || !known || p.faults.NoUserinfo {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body := maps.Clone(u.Claims)
	if p.faults.Subject != "" {
		body["sub"] = p.faults.Subject
	}
	if !p.faults.SignedUserinfo {
		reply(w, http.StatusOK, p.padded(body))
		return
	}
	signed, err := p.seal(body, Client{})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	_, _ = w.Write([]byte(signed)) // a client that left needs no answer
}
