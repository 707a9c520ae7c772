package credentials

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"slices"
	"strings"
	"time"
)

// signed is a request of the EC2 API as its front passes it on to be checked.
type signed struct {
	Access    string            `json:"access"`
	Signature string            `json:"signature"`
	Host      string            `json:"host"`
	Verb      string            `json:"verb"`
	Path      string            `json:"path"`
	Params    map[string]string `json:"params"`
	Headers   map[string]string `json:"headers"`
	BodyHash  string            `json:"body_hash"`
	Token     string            `json:"token"` // S3: the string that was signed, in base64
}

const v4 = "AWS4-HMAC-SHA256"

// replay bounds the age of a signature, and how far it may be ahead.
const replay = 5 * time.Minute

// header finds a header without regard to case.
func (r *signed) header(name string) string {
	for k, v := range r.Headers {
		if strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fits tells whether the request was signed with a secret, with the host as
// given or, since some clients sign without it, without its port.
func (r *signed) fits(secret string) bool {
	if r.Signature == "" {
		return false
	}
	hosts := []string{r.Host}
	if host, _, ok := strings.Cut(r.Host, ":"); ok {
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		if want := r.signature(secret, host); want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(r.Signature)) == 1 {
			return true
		}
	}
	return false
}

// signature is what it should be; empty for a version that is not known.
func (r *signed) signature(secret, host string) string {
	if r.Params["X-Amz-Algorithm"] == v4 || strings.Contains(r.header("Authorization"), v4) {
		return r.version4(secret, host)
	}
	switch r.Params["SignatureVersion"] {
	case "0":
		return encoded(sum(sha1.New, []byte(secret), r.Params["Action"]+r.Params["Timestamp"]))
	case "1":
		keys := make([]string, 0, len(r.Params))
		for k := range r.Params {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
		var text strings.Builder
		for _, k := range keys {
			text.WriteString(k + r.Params[k])
		}
		return encoded(sum(sha1.New, []byte(secret), text.String()))
	case "2":
		return encoded(sum(sha256.New, []byte(secret), r.Verb+"\n"+host+"\n"+r.Path+"\n"+query(r.Params)))
	}
	return ""
}

func sum(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// query is the canonical form of parameters: sorted, percent-encoded by RFC 3986.
func query(params map[string]string) string {
	pairs := make([]string, 0, len(params))
	for k, v := range params {
		pairs = append(pairs, escape(k)+"="+escape(v))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func escape(s string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~", "*", "%2A").Replace(url.QueryEscape(s))
}

// authorization reads one part of a version 4 Authorization header, or the
// parameter of the same name of a presigned request.
func (r *signed) authorization(name string) string {
	_, rest, ok := strings.Cut(r.header("Authorization"), name+"=")
	if !ok {
		return r.Params["X-Amz-"+name]
	}
	value, _, _ := strings.Cut(rest, ",")
	return strings.TrimSpace(value)
}

func (r *signed) date() string {
	for _, d := range []string{r.header("X-Amz-Date"), r.Params["X-Amz-Date"], r.header("Date")} {
		if d != "" {
			return d
		}
	}
	return ""
}

func (r *signed) version4(secret, host string) string {
	scope := strings.Split(r.authorization("Credential"), "/")
	date := r.date()
	if len(scope) != 5 || len(date) < 8 || scope[1] != date[:8] {
		return ""
	}
	names := r.authorization("SignedHeaders")
	var headers strings.Builder
	for name := range strings.SplitSeq(names, ";") {
		value := r.header(name)
		if name == "host" {
			value = host
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	parameters := ""
	if !strings.EqualFold(r.Verb, "POST") {
		left := map[string]string{}
		for k, v := range r.Params {
			if k != "X-Amz-Signature" {
				left[k] = v
			}
		}
		parameters = query(left)
	}
	request := sha256.Sum256([]byte(strings.Join([]string{strings.ToUpper(r.Verb), r.Path, parameters, headers.String(), names, r.BodyHash}, "\n")))
	text := strings.Join([]string{v4, date, strings.Join(scope[1:], "/"), hex.EncodeToString(request[:])}, "\n")
	return hex.EncodeToString(sum(sha256.New, derived(secret, scope[1:]), text))
}

// derived is the key of a day, region and service.
func derived(secret string, scope []string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range scope {
		key = sum(sha256.New, key, part)
	}
	return key
}

// fresh tells whether a signature is of now. One that names no time was made
// to last, and is not taken.
func (r *signed) fresh(now time.Time) bool {
	text := r.Params["Timestamp"]
	if text == "" {
		text = r.date()
	}
	for _, layout := range []string{"20060102T150405Z", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05.000Z", time.RFC1123} {
		if at, err := time.Parse(layout, text); err == nil {
			return now.Sub(at) <= replay && at.Sub(now) <= replay
		}
	}
	return false
}

// fitsS3 tells whether the string of an S3 request was signed with a secret.
func (r *signed) fitsS3(secret string) bool {
	raw, err := base64.URLEncoding.DecodeString(r.Token)
	if err != nil || r.Signature == "" {
		return false
	}
	want := ""
	if text := string(raw); !strings.HasPrefix(text, "AWS4") {
		want = encoded(sum(sha1.New, []byte(secret), text))
	} else {
		lines := strings.Split(text, "\n")
		if len(lines) != 4 || lines[0] != v4 {
			return false
		}
		scope := strings.Split(lines[2], "/")
		if len(scope) != 4 || scope[3] != "aws4_request" || !slices.Contains([]string{"s3", "iam", "sts"}, scope[2]) {
			return false
		}
		want = hex.EncodeToString(sum(sha256.New, derived(secret, scope), text))
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(r.Signature)) == 1
}
