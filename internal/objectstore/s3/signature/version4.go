package signature

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// mustBeSigned are prefixes of headers that change what a request does: a
// signature that leaves one out could be put on another request.
var mustBeSigned = []string{"x-amz-copy", "x-amz-acl", "x-amz-grant", "x-amz-meta"}

func parseHeader4(r *http.Request, q query, o Options, authorization string) (*Claim, error) {
	date, err := headerDate(r.Header, o.Now)
	if err != nil {
		return nil, err
	}
	rest := strings.TrimPrefix(authorization, algorithm4)
	members := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if ok {
			members[name] = value
		}
	}
	credential, signed, proof := members["Credential"], members["SignedHeaders"], members["Signature"]
	if proof == "" {
		return nil, failure.New(failure.AccessDenied)
	}
	if signed == "" {
		return nil, failure.New(failure.AuthorizationHeader)
	}
	c := &Claim{Version: V4, Date: date, signature: proof, Payload: r.Header.Get("X-Amz-Content-Sha256")}
	if err := c.credential(credential, o, failure.AuthorizationHeader, "The authorization header is malformed"); err != nil {
		return nil, err
	}
	if c.Payload == "" {
		return nil, failure.Newf(failure.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
	}
	return c, c.sign(r, q, signed)
}

// headerDate is when a request was signed, checked against our clock.
func headerDate(h http.Header, now time.Time) (time.Time, error) {
	date, err := time.Parse(amzDate, h.Get("X-Amz-Date"))
	if err != nil {
		for _, text := range []string{h.Get("X-Amz-Date"), h.Get("Date")} {
			if date, err = http.ParseTime(text); err == nil {
				break
			}
			if date, err = time.Parse(time.RFC1123Z, text); err == nil {
				break
			}
		}
	}
	if err != nil {
		return date, failure.Newf(failure.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
	}
	if off := now.Sub(date); off > Skew || off < -Skew {
		return date, skewed(date, now)
	}
	return date, nil
}

func skewed(date, now time.Time) error {
	return failure.New(failure.RequestTimeTooSkewed).With("RequestTime", date.UTC().Format(amzDate)).
		With("ServerTime", now.UTC().Format(time.RFC3339)).With("MaxAllowedSkewMilliseconds", strconv.FormatInt(Skew.Milliseconds(), 10))
}

func parsePresigned4(r *http.Request, q query, o Options) (*Claim, error) {
	if a := q.get("X-Amz-Algorithm"); a != algorithm4 {
		return nil, failure.New(failure.InvalidArgument).With("ArgumentName", "X-Amz-Algorithm").With("ArgumentValue", a)
	}
	date, err := time.Parse(amzDate, q.get("X-Amz-Date"))
	if err != nil {
		return nil, failure.Newf(failure.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
	}
	if err := presignedTime(q, date, o.Now); err != nil {
		return nil, err
	}
	c := &Claim{Version: V4, Presigned: true, Date: date, signature: q.get("X-Amz-Signature"), Payload: r.Header.Get("X-Amz-Content-Sha256")}
	if c.signature == "" || !q.has("X-Amz-Credential") {
		return nil, failure.New(failure.AccessDenied)
	}
	if !q.has("X-Amz-SignedHeaders") {
		return nil, failure.New(failure.AuthorizationHeader)
	}
	if c.Payload == "" {
		c.Payload = UnsignedPayload
	}
	if err := c.credential(q.get("X-Amz-Credential"), o, failure.AuthorizationQuery, "Error parsing the X-Amz-Credential parameter"); err != nil {
		return nil, err
	}
	return c, c.sign(r, q, q.get("X-Amz-SignedHeaders"))
}

// presignedTime refuses an address that has ended, never ends or has not begun.
func presignedTime(q query, date, now time.Time) error {
	if !q.has("X-Amz-Expires") {
		return failure.New(failure.AccessDenied)
	}
	seconds, err := strconv.ParseInt(q.get("X-Amz-Expires"), 10, 64)
	switch {
	case err != nil:
		return failure.Newf(failure.AuthorizationQuery, "X-Amz-Expires should be a number")
	case seconds < 0:
		return failure.Newf(failure.AuthorizationQuery, "X-Amz-Expires must be non-negative")
	case seconds > int64(MaxExpires/time.Second):
		return failure.Newf(failure.AuthorizationQuery, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	case date.Sub(now) > Skew:
		return failure.Newf(failure.AccessDenied, "Request is not valid yet").With("X-Amz-Date", q.get("X-Amz-Date"))
	}
	if end := date.Add(time.Duration(seconds) * time.Second); end.Before(now) {
		return failure.Newf(failure.AccessDenied, "Request has expired").With("X-Amz-Expires", q.get("X-Amz-Expires")).
			With("Expires", end.UTC().Format(time.RFC3339)).With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// credential reads "access/day/region/s3/aws4_request". code and where are of
// the error when it is wrong.
func (c *Claim) credential(text string, o Options, code, where string) error {
	parts := strings.Split(text, "/")
	if len(parts) != 5 || parts[0] == "" {
		return failure.New(failure.AccessDenied)
	}
	c.Access, c.day, c.Region = parts[0], parts[1], parts[2]
	switch {
	case c.day != c.Date.UTC().Format("20060102"):
		return failure.Newf(code, "Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.day, c.Date.UTC().Format("20060102"))
	case !slices.ContainsFunc(o.Regions, func(r string) bool { return strings.EqualFold(r, c.Region) }):
		return failure.Newf(code, "%s; the region '%s' is wrong; expecting '%s'", where, c.Region, o.Regions[0]).With("Region", o.Regions[0])
	case parts[3] != service:
		return failure.Newf(code, "%s; incorrect service %q. This endpoint belongs to %q.", where, parts[3], service)
	case parts[4] != terminal:
		return failure.Newf(code, "%s; incorrect terminal %q. This endpoint uses %q.", where, parts[4], terminal)
	}
	return nil
}

// sign rebuilds the text that the client signed.
func (c *Claim) sign(r *http.Request, q query, signedHeaders string) error {
	names := strings.Split(strings.ToLower(signedHeaders), ";")
	if !slices.Contains(names, "host") {
		return failure.Newf(failure.AccessDenied, "The host header must be signed")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if slices.ContainsFunc(mustBeSigned, func(p string) bool { return strings.HasPrefix(lower, p) }) && !slices.Contains(names, lower) {
			return failure.Newf(failure.AccessDenied, "There were headers present in the request which were not signed").With("HeadersNotSigned", lower)
		}
	}
	slices.Sort(names)
	var headers strings.Builder
	for _, name := range names {
		value, ok := signedValue(r, name)
		if !ok {
			return failure.New(failure.SignatureDoesNotMatch)
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	canonical := func(path string) string {
		return strings.Join([]string{r.Method, path, q.canonical(), headers.String(), strings.Join(names, ";"), c.Payload}, "\n")
	}
	text := func(canonical string) string {
		return strings.Join([]string{algorithm4, c.Date.UTC().Format(amzDate), c.scope(), hash(canonical)}, "\n")
	}
	path := escape(r.URL.Path, true)
	c.canonical = canonical(path)
	c.toSign = text(c.canonical)
	if sent := r.URL.EscapedPath(); sent != path { // some clients leave "(" or "+" as they are
		c.asSent = text(canonical(sent))
	}
	return nil
}

// signedValue is a header as it was sent; net/http keeps some elsewhere.
func signedValue(r *http.Request, name string) (string, bool) {
	switch name {
	case "host":
		return r.Host, true
	case "content-length":
		return strconv.FormatInt(max(r.ContentLength, 0), 10), true
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ","), true
	}
	values, ok := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	if !ok {
		return "", false
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(trimmed, ","), true
}
