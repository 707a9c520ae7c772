package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// object is what a token or an endpoint says, as JSON; numbers are json.Number.
type object map[string]any

// leeway is how far a provider's clock may be ahead of ours. Ends are taken as
// they are: a token that ends now has been used already.
const leeway = time.Minute

// deciding are the claims by which a token is judged.
var deciding = []string{"iss", "sub", "aud", "azp", "client_id", "exp", "nbf", "nonce", "active", "events", "typ", "token_type"}

// bare are claims that say nothing of a user but who it is.
var bare = []string{"iss", "sub", "aud", "azp", "client_id", "exp", "nbf", "iat", "jti", "scope", "scp", "sid", "typ", "auth_time", "acr", "amr",
	"nonce", "at_hash", "session_state", "token_type"}

// others are what Keycloak and its kin write into tokens that are for the
// provider alone, or end a session.
var others = []string{"refresh", "refresh_token", "offline", "logout"}

// read takes one JSON object.
func read(body []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the object")
	}
	if o == nil {
		return nil, errors.New("null is no object")
	}
	return o, nil
}

// check judges what does not depend on whose token it is: one spelling of what
// decides, its kind, the times it has.
func (o object) check(now time.Time) error {
	for name := range o {
		if slices.ContainsFunc(deciding, func(d string) bool { return name != d && strings.EqualFold(name, d) }) {
			return errSpelling
		}
	}
	if _, ok := o["events"]; ok || slices.Contains(others, strings.ToLower(o.text("typ"))) || slices.Contains(others, strings.ToLower(o.text("token_type"))) {
		return errKind // a security event (RFC 8417), such as a logout, is signed by the same keys
	}
	if sub, ok := o["sub"]; ok {
		if s, ok := sub.(string); !ok || s == "" {
			return errSubject
		}
	}
	seconds := float64(now.UnixMicro()) / 1e6
	if end, ok, err := o.number("exp"); err != nil || ok && end <= seconds {
		return errTimes
	}
	if begin, ok, err := o.number("nbf"); err != nil || ok && begin > seconds+leeway.Seconds() {
		return errTimes
	}
	return nil
}

// text is a claim that is a string; empty when it is something else.
func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

// texts is a claim that is a string or a list of strings.
func (o object) texts(name string) []string {
	switch v := o[name].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// number is a claim of seconds since 1970, whether it is there, and whether it is none.
func (o object) number(name string) (float64, bool, error) {
	v, ok := o[name]
	if !ok {
		return 0, false, nil
	}
	n, isNumber := v.(json.Number)
	if !isNumber {
		return 0, true, errTimes
	}
	f, err := n.Float64()
	return f, true, err
}

// bare tells whether a token says nothing of its user but the subject.
func (o object) bare() bool {
	for name := range o {
		if !slices.Contains(bare, name) {
			return false
		}
	}
	return true
}

// ours tells whether a token was issued for this cloud: to its client, or for
// one of its names.
func (p *Provider) ours(o object) bool {
	parties := slices.Concat(o.texts("aud"), []string{o.text("azp"), o.text("client_id")})
	return slices.ContainsFunc(parties, func(name string) bool {
		return name != "" && (name == p.config.ClientID || slices.Contains(p.config.Audiences, name))
	})
}
