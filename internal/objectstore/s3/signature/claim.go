package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what version 2 is
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// Version of a signature.
type Version uint8

// The versions.
const (
	V2 Version = 2
	V4 Version = 4
)

// Limits of the time of a request.
const (
	Skew       = 15 * time.Minute   // between the client's clock and ours
	MaxExpires = 7 * 24 * time.Hour // of a presigned address
)

// Values of X-Amz-Content-Sha256 besides a hash.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	StreamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

const (
	algorithm4 = "AWS4-HMAC-SHA256"
	amzDate    = "20060102T150405Z"
	terminal   = "aws4_request"
	service    = "s3"
)

// Claim is who a request says it comes from, and the proof to check.
type Claim struct {
	Version   Version
	Presigned bool
	Access    string    // public half of the key
	Date      time.Time // when it was signed; zero for presigned addresses of version 2
	Region    string    // version 4
	// Payload is what was signed for the body's hash: a hash in hexadecimal, or
	// one of the words above. Empty for version 2.
	Payload   string
	signature string
	toSign    string
	canonical string // version 4, for the answer when the signature is wrong
	asSent    string // version 4: toSign with the path escaped as the client did; empty when there is no difference
	day       string
}

// Options say how this service is addressed.
type Options struct {
	Now     time.Time
	Regions []string // accepted in signatures, the first is named in errors; letters of any case
	// Bucket is the bucket's name when it came in the host name.
	Bucket string
}

// Parse reads the signature of a request. It gives nil for an anonymous one.
func Parse(r *http.Request, o Options) (*Claim, error) {
	q := parseQuery(r.URL.RawQuery)
	authorization := r.Header.Get("Authorization")
	switch {
	case q.has("X-Amz-Credential") || q.has("X-Amz-Algorithm"):
		return parsePresigned4(r, q, o)
	case q.has("AWSAccessKeyId") && q.has("Signature"):
		return parsePresigned2(r, q, o)
	case strings.HasPrefix(authorization, algorithm4):
		return parseHeader4(r, q, o, authorization)
	case strings.HasPrefix(authorization, "AWS "):
		return parseHeader2(r, q, o, authorization)
	case authorization != "":
		return nil, failure.Newf(failure.InvalidArgument, "Unsupported Authorization Type").
			With("ArgumentName", "Authorization").With("ArgumentValue", firstWord(authorization))
	}
	return nil, nil
}

// firstWord is the scheme of an Authorization header, without what it carries.
func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word[:min(len(word), 64)]
}

// Verify tells whether the claim was signed with this secret.
func (c *Claim) Verify(secret string) bool {
	if c.Version == V2 {
		return equal(c.signature, sign2(secret, c.toSign))
	}
	key := c.key(secret)
	return equal(c.signature, hex.EncodeToString(mac(key, c.toSign))) ||
		c.asSent != "" && equal(c.signature, hex.EncodeToString(mac(key, c.asSent)))
}

// Digest identifies the signature, for remembering it.
func (c *Claim) Digest() [sha256.Size]byte {
	return sha256.Sum256([]byte(c.Access + "\n" + c.signature))
}

// Mismatch is the answer to a wrong signature: what we signed, so that the
// author of a client can compare.
func (c *Claim) Mismatch() *failure.Failure {
	f := failure.New(failure.SignatureDoesNotMatch).With("AWSAccessKeyId", c.Access).With("StringToSign", c.toSign).
		With("SignatureProvided", c.signature).With("StringToSignBytes", hexWords(c.toSign))
	if c.Version == V4 {
		f.With("CanonicalRequest", c.canonical).With("CanonicalRequestBytes", hexWords(c.canonical))
	}
	return f
}

func hexWords(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString([]byte{s[i]}))
	}
	return b.String()
}

// key derives the key of a day, a region and this service.
func (c *Claim) key(secret string) []byte {
	k := mac([]byte("AWS4"+secret), c.day)
	return mac(mac(mac(k, c.Region), service), terminal)
}

// scope is the credential without the access key.
func (c *Claim) scope() string { return c.day + "/" + c.Region + "/" + service + "/" + terminal }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func sign2(secret, text string) string {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
