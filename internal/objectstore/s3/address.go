package s3

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// params are the parameters of an address; unlike url.Values they keep what has
// no value.
type params struct{ url.Values }

func (p params) has(name string) bool { _, ok := p.Values[name]; return ok }

// text is a parameter that must be UTF-8 without NUL.
func (p params) text(name string) (string, error) {
	v := p.Get(name)
	if !validText(v) {
		return "", argument(name, url.QueryEscape(v), "Invalid Argument.")
	}
	return v, nil
}

// number is a parameter between 0 and 2^31-1, at most limit.
func (p params) number(name string, otherwise, limit int) (int, error) {
	if !p.has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(p.Get(name), 10, 64)
	switch {
	case err == nil && n < 0:
		return 0, argument(name, p.Get(name), "Argument "+name+" must be an integer between 0 and 2147483647")
	case err != nil || n > 1<<31-1:
		return 0, argument(name, p.Get(name), "Provided "+name+" not an integer or within integer range")
	}
	return int(min(n, int64(limit))), nil
}

func validText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// argument is the answer to a parameter or header that is wrong.
func argument(name, value, text string) *failure.Failure {
	return failure.Newf(failure.InvalidArgument, "%s", text).With("ArgumentName", name).With("ArgumentValue", value)
}

// address finds the bucket and the key of a request.
func (c *call) address() error {
	path := c.URL.Path
	if !validText(path) {
		return failure.New(failure.InvalidURI).With("URI", c.URL.EscapedPath())
	}
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return failure.New(failure.InvalidURI).With("URI", c.URL.EscapedPath())
	}
	c.query = params{values}
	path = strings.TrimPrefix(path, "/")
	if bucket := c.s.hosted(c.Host); bucket != "" {
		c.bucket, c.key, c.hosted = bucket, path, true
	} else {
		c.bucket, c.key, _ = strings.Cut(path, "/")
	}
	if c.bucket != "" && !validBucket(c.bucket) {
		return failure.New(failure.InvalidBucketName).With("BucketName", c.bucket)
	}
	if len(c.key) > maxKey {
		return failure.New(failure.KeyTooLong).With("Size", strconv.Itoa(len(c.key))).With("MaxSizeAllowed", strconv.Itoa(maxKey))
	}
	return nil
}

// maxKey is the most bytes of a key.
const maxKey = 1024

// hosted is the bucket that stands in front of one of our host names.
func (s *Server) hosted(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, domain := range s.Domains {
		if bucket, ok := strings.CutSuffix(host, "."+strings.TrimPrefix(domain, ".")); ok {
			return bucket
		}
	}
	return ""
}

var bucketName = regexp.MustCompile(`^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]$`)

// validBucket keeps Amazon's rules for names, as Swift does.
func validBucket(name string) bool {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, ".-") || strings.Contains(name, "-.") {
		return false
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}
