package oauth1

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/identity"
)

// window is how far a signature's time may be from ours.
const window = 10 * time.Minute

// maxParams bounds what of an Authorization header is looked at.
const maxParams = 32

var methods = map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New, "HMAC-SHA512": sha512.New}

// parseHeader reads an Authorization header of scheme OAuth; nil when it is
// none or malformed. A parameter that is there twice is malformed.
func parseHeader(header string) map[string]string {
	scheme, list, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok || !strings.EqualFold(scheme, "OAuth") {
		return nil
	}
	out := map[string]string{}
	for part := range strings.SplitSeq(list, ",") {
		name, quoted, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || len(out) == maxParams {
			return nil
		}
		if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
			return nil
		}
		value, err := url.PathUnescape(quoted[1 : len(quoted)-1])
		if _, twice := out[name]; err != nil || twice {
			return nil
		}
		out[name] = value
	}
	return out
}

// escape is the percent encoding of RFC 5849: everything but unreserved characters.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// base is the string that is signed.
func base(r identity.SignedRequest, params map[string]string) string {
	var pairs [][2]string
	for name, value := range params {
		if name != "realm" && name != "oauth_signature" {
			pairs = append(pairs, [2]string{escape(name), escape(value)})
		}
	}
	for name, values := range r.Query {
		for _, value := range values {
			pairs = append(pairs, [2]string{escape(name), escape(value)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	words := make([]string, len(pairs))
	for i, p := range pairs {
		words[i] = p[0] + "=" + p[1]
	}
	return strings.ToUpper(r.Method) + "&" + escape(address(r.URL)) + "&" + escape(strings.Join(words, "&"))
}

// address is the URL without a port that its scheme implies, in lower case as
// far as the host.
func address(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	host := strings.ToLower(u.Host)
	switch {
	case u.Scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	case u.Scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return strings.ToLower(u.Scheme) + "://" + host + u.EscapedPath()
}

// fits tells whether a request was signed with the secrets of a consumer and a token.
func fits(r identity.SignedRequest, params map[string]string, consumer, token string) bool {
	method := methods[params["oauth_signature_method"]]
	if method == nil || params["oauth_signature"] == "" || params["oauth_nonce"] == "" {
		return false
	}
	m := hmac.New(method, []byte(escape(consumer)+"&"+escape(token)))
	m.Write([]byte(base(r, params)))
	want := base64.StdEncoding.EncodeToString(m.Sum(nil))
	return subtle.ConstantTimeCompare([]byte(want), []byte(params["oauth_signature"])) == 1
}

// fresh tells whether a signature was made about now.
func fresh(params map[string]string, now time.Time) bool {
	seconds, err := strconv.ParseInt(params["oauth_timestamp"], 10, 64)
	if err != nil {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return age < window && age > -window
}
