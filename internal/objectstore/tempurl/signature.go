package tempurl

import (
	"crypto/hmac"
	"crypto/sha1" // one of the wire's algorithms
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Digests are the algorithms of signatures.
func Digests() []string { return []string{"sha1", "sha256", "sha512"} }

func algorithm(name string) func() hash.Hash {
	switch name {
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha512":
		return sha512.New
	}
	return nil
}

// Signature is a signature as an address or a form carries it.
type Signature struct {
	digest func() hash.Hash
	sum    []byte
}

// ParseSignature reads a signature: hexadecimal, or base64 behind the
// algorithm's name and a colon.
func ParseSignature(text string) (Signature, bool) {
	name, encoded, prefixed := strings.Cut(text, ":")
	if !prefixed {
		names := map[int]string{40: "sha1", 64: "sha256", 128: "sha512"}
		sum, err := hex.DecodeString(text)
		digest := algorithm(names[len(text)])
		return Signature{digest, sum}, err == nil && digest != nil && strings.ToLower(text) == text
	}
	if !strings.ContainsAny(encoded, "+/") {
		encoded = strings.NewReplacer("-", "+", "_", "/").Replace(encoded)
	}
	sum, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	digest := algorithm(name)
	return Signature{digest, sum}, err == nil && digest != nil
}

// Signs tells whether the signature was made of a text with a key, in a time
// that says nothing about either.
func (s Signature) Signs(key, text string) bool {
	mac := hmac.New(s.digest, []byte(key))
	mac.Write([]byte(text))
	return hmac.Equal(mac.Sum(nil), s.sum)
}

// params are the parameters of a signed address.
type params struct {
	signature, expires string
	until              int64 // 0: never was, or is over
	prefix, addresses  *string
	filename           string
	inline             bool
}

// parse reads the parameters; the first of several values counts.
func parse(query url.Values, now time.Time) params {
	p := params{signature: query.Get("temp_url_sig"), expires: query.Get("temp_url_expires"), filename: query.Get("filename"), inline: query.Has("inline")}
	for name, into := range map[string]**string{"temp_url_prefix": &p.prefix, "temp_url_ip_range": &p.addresses} {
		if query.Has(name) {
			value := query.Get(name)
			*into = &value
		}
	}
	p.until = ParseTime(p.expires)
	if p.until < now.Unix() {
		p.until = 0
	}
	return p
}

// links is the query with which the signature opens other names of its prefix;
// empty without a prefix.
func (p params) links() string {
	if p.prefix == nil {
		return ""
	}
	query := "temp_url_prefix=" + swift.Quote(*p.prefix) + "&temp_url_expires=" + swift.Quote(p.expires) + "&temp_url_sig=" + swift.Quote(p.signature)
	if p.addresses != nil && *p.addresses != "" {
		query += "&temp_url_ip_range=" + swift.Quote(*p.addresses)
	}
	if p.inline {
		query += "&inline"
	}
	return query
}

// ParseTime reads a time of expiry: seconds since 1970, or ISO 8601 in UTC.
func ParseTime(text string) int64 {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
		return n
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil {
		return 0
	}
	return t.Unix()
}

// within tells whether a client's address is in a range, or is the one given.
func within(remote, addresses string) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := at.Addr().Unmap()
	if one, err := netip.ParseAddr(addresses); err == nil {
		return one == addr
	}
	p, err := netip.ParsePrefix(addresses)
	return err == nil && p.Masked() == p && p.Contains(addr)
}
