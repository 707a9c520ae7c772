package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	oidc "github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

// key is one that a provider publishes.
type key = jose.JSONWebKey

// maxKeys bounds how many keys a token without a key's name is tried with.
const maxKeys = 64

// algorithms are those of a key pair. HMAC is not among them: its key is our
// client's secret, which whoever operates another part of the client has too,
// and "none" is no signature.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

func algorithmNames() []string {
	out := make([]string, len(algorithms))
	for i, a := range algorithms {
		out[i] = string(a)
	}
	return out
}

// fetchKeys gives the provider's keys for signatures. Keys of a kind that we do
// not know are passed over (RFC 7517, 5); a symmetric one is for no algorithm
// that is taken.
func (p *Provider) fetchKeys(ctx context.Context, address string) ([]key, error) {
	if address == "" {
		return nil, silent(errNoEndpoint)
	}
	a, err := p.call(ctx, http.MethodGet, address, nil, func(r *http.Request) { r.Header.Set("Cache-Control", "no-cache") })
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, a.unexpected("key")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(a.body, &set); err != nil {
		return nil, silent(err)
	}
	var out []key
	for _, raw := range set.Keys {
		var k key
		if err := json.Unmarshal(raw, &k); err != nil {
			continue // of a kind that is not known here, or broken: no token verifies by it
		}
		if k.Valid() && k.Use != "enc" && len(out) < maxKeys {
			out = append(out, k)
		}
	}
	return out, nil
}

// lookup verifies one signature. It remembers whether it was the provider that
// failed, which go-oidc's verifier does not pass on.
type lookup struct {
	keys    *kept[[]key]
	failure error
}

// VerifySignature gives what was signed. Keys are looked for once more when no
// known one fits: the provider may have new ones.
func (l *lookup) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return nil, err
	}
	if len(jws.Signatures) != 1 {
		return nil, errSignature
	}
	for _, age := range []time.Duration{keptFor, keysAge} {
		list, err := l.keys.get(ctx, age)
		if err != nil {
			l.failure = err
			return nil, err
		}
		if payload, ok := signedBy(list, jws); ok {
			return payload, nil
		}
	}
	return nil, errSignature
}

func signedBy(list []key, jws *jose.JSONWebSignature) ([]byte, bool) {
	head := jws.Signatures[0].Header
	for _, k := range list {
		if head.KeyID != "" && k.KeyID != head.KeyID || k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// verify gives the claims of a JWT after the checks that c asks for.
func (p *Provider) verify(ctx context.Context, m *metadata, raw string, c oidc.Config) (*oidc.IDToken, object, error) {
	c.SupportedSigningAlgs, c.Now = algorithmNames(), p.config.Clock.Now
	l := &lookup{keys: m.keys}
	t, err := oidc.NewVerifier(p.config.Issuer, l, &c).Verify(ctx, raw)
	if l.failure != nil {
		return nil, nil, l.failure
	}
	if err != nil {
		return nil, nil, refused(shortened(err))
	}
	var payload json.RawMessage
	if err := t.Claims(&payload); err != nil {
		return nil, nil, refused(err)
	}
	said, err := read(payload)
	if err != nil {
		return nil, nil, refused(err)
	}
	if err := said.check(p.config.Clock.Now()); err != nil {
		return nil, nil, refused(err)
	}
	return t, said, nil
}
