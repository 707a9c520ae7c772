package oidctest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/mekcloud/mek/internal/id"
)

// sign makes a compact JWS.
func sign(claims map[string]any, key jose.SigningKey, kid string) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid)
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(body)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// seal signs a token with the faults that are asked for.
func (p *Provider) seal(claims map[string]any, c Client) (string, error) {
	kid := p.keys[0].KeyID
	if p.faults.KeyID != "" {
		kid = p.faults.KeyID
	}
	switch p.faults.Algorithm {
	case "none":
		return Unsigned(claims)
	case "HS256":
		secret := sha256.Sum256([]byte(c.Secret))
		return sign(claims, jose.SigningKey{Algorithm: jose.HS256, Key: secret[:]}, kid)
	}
	return sign(claims, jose.SigningKey{Algorithm: jose.ES256, Key: p.keys[0].Key}, kid)
}

// Unsigned makes a JWT with the algorithm "none".
func Unsigned(claims map[string]any) (string, error) {
	body, err := json.Marshal(claims)
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(body) + ".", err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// common are the claims that tokens of both kinds have.
func (p *Provider) common(c Client, u User) map[string]any {
	now, lifetime := p.clock.Now(), time.Hour
	if p.faults.Lifetime != 0 {
		lifetime = p.faults.Lifetime
	}
	claims := map[string]any{"iss": p.Issuer, "sub": u.Claims["sub"], "aud": c.ID, "iat": now.Unix(), "exp": now.Add(lifetime).Unix()}
	if p.faults.Issuer != "" {
		claims["iss"] = p.faults.Issuer
	}
	if p.faults.Audience != nil {
		claims["aud"] = p.faults.Audience
	}
	if p.faults.NotBefore != 0 {
		claims["nbf"] = now.Add(p.faults.NotBefore).Unix()
	}
	return claims
}

// change adds the claims that are asked for, and takes away those that are nil.
func (p *Provider) change(claims map[string]any) {
	maps.Copy(claims, p.faults.Extra)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
}

// accessToken issues a token (RFC 9068), or an opaque one.
func (p *Provider) accessToken(c Client, u User, scope string) (string, error) {
	claims := p.common(c, u)
	claims["client_id"], claims["scope"], claims["jti"] = c.ID, scope, id.Hex()
	if p.faults.Audience != nil {
		delete(claims, "client_id") // the fault is about whom a token is for, whatever says so
	}
	if p.faults.Rich {
		for name, value := range u.Claims {
			claims[name] = value
		}
	}
	p.change(claims)
	token := "opaque-" + id.Hex()
	if !p.faults.Opaque {
		var err error
		if token, err = p.seal(claims, c); err != nil {
			return "", err
		}
	}
	known := maps.Clone(claims)
	known["username"] = u.Name
	p.tokens[token] = known
	return token, nil
}

// idToken issues the id token of a login, which names the access token beside it.
func (p *Provider) idToken(c Client, u User, nonce, access string) (string, error) {
	claims := p.common(c, u)
	for name, value := range u.Claims {
		claims[name] = value
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if p.faults.Nonce != "" {
		claims["nonce"] = p.faults.Nonce
	}
	sum := sha256.Sum256([]byte(access))
	claims["at_hash"] = encode(sum[:len(sum)/2])
	p.change(claims)
	return p.seal(claims, c)
}

// holder is the user of an access token that has not ended.
func (p *Provider) holder(token string) (User, bool) {
	claims, ok := p.live(token)
	name, _ := claims["username"].(string)
	scope, _ := claims["scope"].(string)
	u, known := p.users[name]
	return u, ok && known && slices.Contains(strings.Fields(scope), "openid")
}

// live are the claims of an access token that has not ended.
func (p *Provider) live(token string) (map[string]any, bool) {
	claims, ok := p.tokens[token]
	end, isNumber := claims["exp"].(int64)
	return claims, ok && (!isNumber || end > p.clock.Now().Unix())
}
