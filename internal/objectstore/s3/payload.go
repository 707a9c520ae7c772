package s3

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what Content-MD5 is
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/objectstore/s3/chunked"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/objectstore/s3/signature"
)

// payload is a request's body on its way in: decoded, and checked against all
// that was signed or announced when its end is read. Errors are faults, which a
// store passes on, around failures.
type payload struct {
	in   io.Reader
	size int64  // -1: until it ends
	md5  string // in hexadecimal, when the client said it
	// sum is the additional checksum: announced ahead (want), in a trailer (chunks), or not.
	algorithm checksum.Algorithm
	sum       hash.Hash
	want      string
	chunks    *chunked.Reader
	// signedHash is the SHA-256 that was signed, and whole computes it.
	signedHash string
	whole      hash.Hash
	taken      int64
	onEnd      func()
	err        error
}

// Most bytes of an object that comes in one request.
const maxPut = 5 << 30

// payload begins to read the body of a request.
func (c *call) payload() (*payload, error) {
	p := &payload{in: c.Body, size: c.ContentLength}
	if _, said := c.Header["Content-Length"]; !said && p.size == 0 && len(c.TransferEncoding) == 0 {
		p.size = -2 // nothing was said
	}
	var err error
	if p.md5, err = contentMD5(c.Header.Get("Content-Md5")); err != nil {
		return nil, err
	}
	trailer, err := p.announced(c)
	if err != nil {
		return nil, err
	}
	word := c.Header.Get("X-Amz-Content-Sha256")
	switch {
	case word == "" || word == signature.UnsignedPayload:
	case strings.HasPrefix(word, "STREAMING-"):
		return p, p.stream(c, word, trailer)
	case isSHA256(word):
		p.signedHash, p.whole = strings.ToLower(word), sha256.New()
	case c.claim != nil && c.claim.Version == signature.V4:
		return nil, argument("x-amz-content-sha256", word, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	}
	if trailer != "" {
		return nil, failure.New(failure.MalformedTrailer)
	}
	return p, nil
}

func isSHA256(word string) bool {
	raw, err := hex.DecodeString(word)
	return err == nil && len(raw) == sha256.Size
}

func contentMD5(value string) (string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return "", nil
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(raw) != md5.Size {
		return "", failure.New(failure.InvalidDigest).With("Content-MD5", value)
	}
	return hex.EncodeToString(raw), nil
}

// announced reads which additional checksum comes: in a header, or in the
// trailer whose name it gives.
func (p *payload) announced(c *call) (trailer string, err error) {
	var headers []string
	for name := range c.Header {
		if strings.HasPrefix(name, checksum.HeaderPrefix) && name != "X-Amz-Checksum-Algorithm" && name != "X-Amz-Checksum-Type" && name != "X-Amz-Checksum-Mode" {
			headers = append(headers, name)
		}
	}
	var trailers []string
	for word := range strings.SplitSeq(c.Header.Get("X-Amz-Trailer"), ",") {
		if word = strings.TrimSpace(word); word != "" {
			trailers = append(trailers, word)
		}
	}
	switch {
	case len(headers) > 1 || len(trailers) > 1:
		return "", failure.Newf(failure.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case len(headers)+len(trailers) > 1:
		return "", failure.Newf(failure.InvalidRequest, "Expecting a single x-amz-checksum- header")
	}
	ok := true
	if len(headers) == 1 {
		if p.algorithm, ok = checksum.ByHeader(headers[0]); !ok {
			return "", failure.Newf(failure.InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if p.want = c.Header.Get(headers[0]); !p.algorithm.Valid(p.want) {
			return "", failure.Newf(failure.InvalidRequest, "Value for %s header is invalid.", strings.ToLower(headers[0]))
		}
	}
	if len(trailers) == 1 {
		if p.algorithm, ok = checksum.ByHeader(trailers[0]); !ok {
			return "", failure.Newf(failure.InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
		}
		trailer = strings.ToLower(trailers[0])
	}
	named := c.Header.Get("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case named != "" && p.algorithm.Name == "":
		return "", failure.Newf(failure.InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case named != "" && !strings.EqualFold(named, p.algorithm.Name):
		return "", failure.Newf(failure.InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	if p.algorithm.Name != "" {
		p.sum = p.algorithm.New()
	}
	return trailer, nil
}

// stream decodes a body in chunks.
func (p *payload) stream(c *call, word, trailer string) error {
	size, err := strconv.ParseInt(c.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil {
		return failure.New(failure.MissingContentLength)
	}
	if size < 0 {
		return argument("x-amz-decoded-content-length", strconv.FormatInt(size, 10), "Invalid Argument.")
	}
	if c.claim == nil || c.claim.Version != signature.V4 || c.claim.Presigned {
		return failure.New(failure.SHA256Mismatch).With("ClientComputedContentSHA256", word)
	}
	o := chunked.Options{Size: size, Mismatch: func() error { return c.claim.Mismatch() }}
	if trailer != "" {
		o.Trailers = []string{trailer}
	}
	switch word {
	case signature.StreamingUnsignedTrailer:
	case signature.StreamingSigned, signature.StreamingSignedTrailer:
		o.Checker, o.SignedTrailers = c.claim.Chain(c.claim.secret), word == signature.StreamingSignedTrailer
	default:
		return failure.Newf(failure.NotImplemented, "Don't know how to validate %s streams", word)
	}
	if o.Checker == nil && trailer == "" || word == signature.StreamingSigned && trailer != "" {
		return failure.New(failure.MalformedTrailer)
	}
	p.size, p.chunks = size, chunked.New(c.Body, o)
	p.in = p.chunks
	return nil
}

// Read gives decoded bytes.
func (p *payload) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.in.Read(b)
	p.taken += int64(n)
	if p.sum != nil {
		p.sum.Write(b[:n])
	}
	if p.whole != nil {
		p.whole.Write(b[:n])
	}
	switch {
	case errors.Is(err, io.EOF):
		if p.err = p.end(); p.err == nil {
			p.err = io.EOF
		}
	case err != nil:
		p.err = err
	}
	if p.err != nil && !errors.Is(p.err, io.EOF) {
		p.err = passed(p.err)
	}
	return n, p.err
}

// passed makes a fault of a failure; a store returns it as it is.
func passed(err error) error {
	f := failure.As(err)
	if f == nil {
		f = failure.New(failure.IncompleteBody).Because(err)
	}
	return fault.Invalidf("%s", f.Message).Because(f)
}

// end checks a body that was read whole.
func (p *payload) end() error {
	if p.whole != nil {
		if got := hex.EncodeToString(p.whole.Sum(nil)); got != p.signedHash {
			return failure.New(failure.SHA256Mismatch).With("ClientComputedContentSHA256", p.signedHash).With("S3ComputedContentSHA256", got)
		}
	}
	if p.sum != nil {
		got := checksum.Encode(p.sum.Sum(nil))
		if p.want == "" && p.chunks != nil {
			name := strings.ToLower(p.algorithm.Header())
			if p.want = p.chunks.Trailer(name); !p.algorithm.Valid(p.want) {
				return failure.Newf(failure.InvalidRequest, "Value for %s trailing header is invalid.", name)
			}
		}
		if p.want != "" && p.want != got {
			return failure.Newf(failure.BadDigest, "The %s you specified did not match the calculated checksum.", p.algorithm.Name)
		}
		p.want = got
	}
	if p.onEnd != nil {
		p.onEnd()
	}
	return nil
}

// compute has a checksum computed that the client did not send.
func (p *payload) compute(a checksum.Algorithm) {
	if p.sum == nil {
		p.algorithm, p.sum = a, a.New()
	}
}

// document reads a body whole that must be XML with this root. It is nil when
// there is no body. integrity asks for a checksum of it.
func (c *call) document(root string, limit int64, integrity bool, into any) (found bool, err error) {
	p, err := c.payload()
	if err != nil {
		return false, err
	}
	if p.size > limit {
		return false, failure.New(failure.MalformedXML)
	}
	content, err := io.ReadAll(io.LimitReader(p, limit+1))
	if err != nil {
		return false, err
	}
	if int64(len(content)) > limit {
		return false, failure.New(failure.MalformedXML)
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return false, nil
	}
	if integrity && p.md5 == "" && p.sum == nil {
		return false, failure.Newf(failure.InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	if sum := md5.Sum(content); p.md5 != "" && p.md5 != hex.EncodeToString(sum[:]) {
		return false, failure.New(failure.BadDigest)
	}
	if err := document.Decode(content, root, into); err != nil {
		return false, failure.New(failure.MalformedXML).Because(err)
	}
	return true, nil
}

// contentEncoding is the header without the word that was of the transfer only.
func contentEncoding(value string) string {
	words := strings.Split(value, ",")
	words = slices.DeleteFunc(words, func(w string) bool { w = strings.TrimSpace(w); return w == "" || w == "aws-chunked" })
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return strings.Join(words, ", ")
}
