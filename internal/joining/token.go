package joining

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// Token is what a person carries from the cloud to a machine.
type Token struct {
	API         []string `json:"a"` // https://HOST:PORT, one of which must be reachable
	Fingerprint string   `json:"f"` // of the root certificate, SHA-256 in hexadecimal
	ID          string   `json:"i"`
	Secret      string   `json:"s"`
}

const (
	tokenPrefix = "mek1."
	maxToken    = 4096
)

var errToken = errors.New("this is no token of mek agent token")

// String is one word without blanks.
func (t Token) String() string {
	b, err := json.Marshal(t)
	if err != nil {
		return "" // four strings always encode
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken is the inverse of String.
func ParseToken(word string) (Token, error) {
	var t Token
	text, ok := strings.CutPrefix(strings.TrimSpace(word), tokenPrefix)
	if !ok || len(text) > maxToken {
		return t, errToken
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &t) != nil {
		return Token{}, errToken
	}
	if len(t.API) == 0 || len(t.Fingerprint) != 64 || t.ID == "" || t.Secret == "" {
		return Token{}, errToken
	}
	for _, a := range t.API {
		if u, err := url.Parse(a); err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return Token{}, errToken
		}
	}
	return t, nil
}
