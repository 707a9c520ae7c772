package signature

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// subresources are the parameters that version 2 signs.
var subresources = []string{"acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "object-lock", "partNumber", "policy",
	"publicAccessBlock", "requestPayment", "response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires", "restore", "tagging", "torrent", "uploadId", "uploads",
	"versionId", "versioning", "versions", "website"}

func parseHeader2(r *http.Request, q query, o Options, authorization string) (*Claim, error) {
	date, err := headerDate(r.Header, o.Now)
	if err != nil {
		return nil, err
	}
	credential := strings.TrimPrefix(authorization, "AWS ")
	colon := strings.LastIndexByte(credential, ':')
	if colon <= 0 {
		return nil, failure.New(failure.AccessDenied)
	}
	c := &Claim{Version: V2, Date: date, Access: credential[:colon], signature: credential[colon+1:]}
	when := r.Header.Get("Date")
	if r.Header.Get("X-Amz-Date") != "" {
		when = ""
	}
	c.toSign = toSign2(r, q, o, when)
	return c, nil
}

func parsePresigned2(r *http.Request, q query, o Options) (*Claim, error) {
	expires, err := strconv.ParseInt(q.get("Expires"), 10, 64)
	end := time.Unix(expires, 0)
	switch {
	case err != nil || expires < 0 || expires >= 1<<31:
		return nil, failure.Newf(failure.AccessDenied, "Invalid date (should be seconds since epoch): %s", q.get("Expires"))
	case end.Before(o.Now):
		return nil, failure.Newf(failure.AccessDenied, "Request has expired").With("Expires", end.UTC().Format(time.RFC3339)).
			With("ServerTime", o.Now.UTC().Format(time.RFC3339))
	case end.Sub(o.Now) > MaxExpires+Skew:
		return nil, failure.Newf(failure.AccessDenied, "Expires must be within a week")
	}
	c := &Claim{Version: V2, Presigned: true, Access: q.get("AWSAccessKeyId"), signature: q.get("Signature")}
	if c.Access == "" || c.signature == "" {
		return nil, failure.New(failure.AccessDenied)
	}
	c.toSign = toSign2(r, q, o, q.get("Expires"))
	return c, nil
}

// toSign2 is the text that version 2 signs.
func toSign2(r *http.Request, q query, o Options, when string) string {
	lines := []string{r.Method, strings.TrimSpace(r.Header.Get("Content-Md5")), strings.TrimSpace(r.Header.Get("Content-Type")), when}
	var amz []string
	for name, values := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") {
			trimmed := make([]string, len(values))
			for i, v := range values {
				trimmed[i] = strings.TrimSpace(v)
			}
			amz = append(amz, lower+":"+strings.Join(trimmed, ","))
		}
	}
	slices.Sort(amz)
	resource := r.URL.EscapedPath()
	if o.Bucket != "" {
		resource = "/" + o.Bucket + resource
	}
	var words []string
	for _, p := range q {
		switch {
		case !slices.Contains(subresources, p.name):
		case p.value == "":
			words = append(words, p.name)
		default:
			words = append(words, p.name+"="+p.value)
		}
	}
	slices.Sort(words)
	if len(words) > 0 {
		resource += "?" + strings.Join(words, "&")
	}
	return strings.Join(append(append(lines, amz...), resource), "\n")
}
