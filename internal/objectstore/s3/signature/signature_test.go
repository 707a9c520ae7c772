package signature_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/objectstore/s3/signature"
)

const (
	access = "4ab1e9d7ce3a4c0b8f0d3e5c7a9b1d2f"
	secret = "f1d2c3b4a5968778695a4b3c2d1e0f00"
)

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	options = signature.Options{Now: now, Regions: []string{"us-east-1", "RegionOne"}}
	oracle  = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
)

// arrived is a request as a server sees it.
func arrived(t testing.TB, method, address string, header http.Header) *http.Request {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, u.RequestURI(), nil)
	r.Host = u.Host
	for name, values := range header {
		r.Header[name] = values
	}
	return r
}

func signed(t testing.TB, method, address, region string, at time.Time, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if r.Header.Get("X-Amz-Content-Sha256") == "" {
		r.Header.Set("X-Amz-Content-Sha256", signature.UnsignedPayload)
	}
	err = oracle.SignHTTP(context.Background(), aws.Credentials{AccessKeyID: access, SecretAccessKey: secret}, r,
		r.Header.Get("X-Amz-Content-Sha256"), "s3", region, at)
	if err != nil {
		t.Fatal(err)
	}
	return arrived(t, method, address, r.Header)
}

var addresses = []string{
	"http://cloud.test:8080/",
	"http://cloud.test/bucket/key",
	"http://cloud.test:8080/bucket/a%20b/%C3%A9+%2B%25/~x?versionId=1&acl",
	"http://cloud.test/bucket?list-type=2&prefix=a%2Fb&delimiter=%2F&continuation-token=Zm9v%3D%3D",
	"http://cloud.test/bucket?uploads",
	"http://cloud.test/bucket/(odd)'!*key?x-id=GetObject",
	"http://cloud.test/bucket/a//b/../c",
}

// What the SDK signs is accepted, and only with its secret and its words.
func TestHeader4(t *testing.T) {
	for _, address := range addresses {
		r := signed(t, "PUT", address, "us-east-1", now.Add(-time.Minute), "X-Amz-Meta-Color", "  deep   red ", "Content-Type", "text/plain")
		c, err := signature.Parse(r, options)
		if err != nil || c == nil {
			t.Fatalf("%s: %v", address, err)
		}
		if !c.Verify(secret) || c.Access != access || c.Presigned {
			t.Errorf("%s: not accepted: %s", address, c.Mismatch().Body("", "", ""))
		}
		if c.Verify(secret + "x") {
			t.Errorf("%s: accepted with another secret", address)
		}
		r.Method = "DELETE"
		if c, _ = signature.Parse(r, options); c == nil || c.Verify(secret) {
			t.Errorf("%s: accepted for another method", address)
		}
		r.Method = "PUT"
		r.Header.Set("X-Amz-Meta-Color", "blue")
		if c, _ = signature.Parse(r, options); c == nil || c.Verify(secret) {
			t.Errorf("%s: accepted with another header", address)
		}
	}
}

func TestPresigned4(t *testing.T) {
	for _, address := range addresses {
		r, err := http.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := r.URL.Query()
		q.Set("X-Amz-Expires", "600")
		r.URL.RawQuery = q.Encode()
		to, header, err := oracle.PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: access, SecretAccessKey: secret}, r,
			signature.UnsignedPayload, "s3", "RegionOne", now.Add(-5*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		c, err := signature.Parse(arrived(t, "GET", to, header), options)
		if err != nil || !c.Presigned || !c.Verify(secret) {
			t.Errorf("%s: %v", address, err)
		}
		late := options
		late.Now = now.Add(6 * time.Minute)
		if _, err = signature.Parse(arrived(t, "GET", to, header), late); !failure.Is(err, failure.AccessDenied) {
			t.Errorf("%s: accepted after it expired: %v", address, err)
		}
	}
}

func TestRefusals4(t *testing.T) {
	fresh := func(change func(*http.Request)) *http.Request {
		r := signed(t, "GET", "http://cloud.test/bucket/key", "us-east-1", now)
		change(r)
		return r
	}
	edit := func(old, with string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
		}
	}
	for name, c := range map[string]struct {
		r    *http.Request
		code string
	}{
		"old":             {signed(t, "GET", "http://h/b", "us-east-1", now.Add(-16*time.Minute)), failure.RequestTimeTooSkewed},
		"from the future": {signed(t, "GET", "http://h/b", "us-east-1", now.Add(16*time.Minute)), failure.RequestTimeTooSkewed},
		"other region":    {signed(t, "GET", "http://h/b", "eu-west-1", now), failure.AuthorizationHeader},
		"no date":         {fresh(func(r *http.Request) { r.Header.Del("X-Amz-Date") }), failure.AccessDenied},
		"other day":       {fresh(edit("20260301", "20260302")), failure.AuthorizationHeader},
		"other service":   {fresh(edit("/s3/", "/ec2/")), failure.AuthorizationHeader},
		"other terminal":  {fresh(edit("aws4_request", "aws5_request")), failure.AuthorizationHeader},
		"no signature":    {fresh(edit("Signature=", "Sig=")), failure.AccessDenied},
		"no headers":      {fresh(edit("SignedHeaders=", "Headers=")), failure.AuthorizationHeader},
		"host unsigned":   {fresh(edit("SignedHeaders=host;", "SignedHeaders=")), failure.AccessDenied},
		"no credential":   {fresh(edit("Credential="+access, "Credential=")), failure.AccessDenied},
		"no hash":         {fresh(func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }), failure.InvalidRequest},
		"meta unsigned":   {fresh(func(r *http.Request) { r.Header.Set("X-Amz-Meta-Late", "1") }), failure.AccessDenied},
		"bearer":          {fresh(func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }), failure.InvalidArgument},
	} {
		if _, err := signature.Parse(c.r, options); !failure.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	for expires, code := range map[string]string{"604801": failure.AuthorizationQuery, "-1": failure.AuthorizationQuery, "x": failure.AuthorizationQuery, "": failure.AuthorizationQuery} {
		r := arrived(t, "GET", "http://h/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+access+"/20260301/us-east-1/s3/aws4_request&X-Amz-Date=20260301T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires="+expires, nil)
		if _, err := signature.Parse(r, options); !failure.Is(err, code) {
			t.Errorf("expires %q: %v, want %s", expires, err, code)
		}
	}
	if c, err := signature.Parse(arrived(t, "GET", "http://h/b/k", nil), options); c != nil || err != nil {
		t.Errorf("anonymous: %v, %v", c, err)
	}
}

func hmac1(text string) string {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// The texts to sign are those of Amazon's description of version 2.
func TestVersion2(t *testing.T) {
	date := now.Format(time.RFC1123Z)
	header := http.Header{"Date": {date}, "Content-Type": {"image/jpeg"}, "X-Amz-Meta-B": {"two", "three"}, "X-Amz-Acl": {"private"}}
	text := "PUT\n\nimage/jpeg\n" + date + "\nx-amz-acl:private\nx-amz-meta-b:two,three\n/bucket/photos/a%20b.jpg?acl&versionId=x"
	header.Set("Authorization", "AWS "+access+":"+hmac1(text))
	address := "http://h/bucket/photos/a%20b.jpg?versionId=x&acl&other=1"
	c, err := signature.Parse(arrived(t, "PUT", address, header), options)
	if err != nil || !c.Verify(secret) || c.Verify("other") || c.Access != access {
		t.Fatalf("header: %v", err)
	}
	hosted := options
	hosted.Bucket = "bucket"
	if c, err = signature.Parse(arrived(t, "PUT", "http://bucket.h/photos/a%20b.jpg?versionId=x&acl", header), hosted); err != nil || !c.Verify(secret) {
		t.Errorf("bucket in the host: %v", err)
	}
	expires := strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	q := url.Values{"AWSAccessKeyId": {access}, "Expires": {expires}, "Signature": {hmac1("GET\n\n\n" + expires + "\n/bucket/key?response-content-type=text/x")},
		"response-content-type": {"text/x"}}
	if c, err = signature.Parse(arrived(t, "GET", "http://h/bucket/key?"+q.Encode(), nil), options); err != nil || !c.Verify(secret) || !c.Presigned {
		t.Errorf("presigned: %v", err)
	}
	for name, at := range map[string]time.Time{"ended": now.Add(-time.Second), "beyond a week": now.Add(signature.MaxExpires + time.Hour)} {
		q.Set("Expires", strconv.FormatInt(at.Unix(), 10))
		if _, err = signature.Parse(arrived(t, "GET", "http://h/bucket/key?"+q.Encode(), nil), options); !failure.Is(err, failure.AccessDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	header.Set("Date", now.Add(-time.Hour).Format(time.RFC1123Z))
	if _, err = signature.Parse(arrived(t, "PUT", address, header), options); !failure.Is(err, failure.RequestTimeTooSkewed) {
		t.Errorf("old: %v", err)
	}
}

// Amazon's published example of a chunked upload: keys, date and signatures.
func TestChainOfThePublishedExample(t *testing.T) {
	const key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	r := httptest.NewRequest("PUT", "/examplebucket/chunkObject.txt", nil)
	r.Host, r.ContentLength = "s3.amazonaws.com", 66824
	for name, value := range map[string]string{"X-Amz-Date": "20130524T000000Z", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY",
		"X-Amz-Content-Sha256": signature.StreamingSigned, "Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "66560",
		"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"} {
		r.Header.Set(name, value)
	}
	c, err := signature.Parse(r, signature.Options{Now: time.Date(2013, 5, 24, 0, 1, 0, 0, time.UTC), Regions: []string{"us-east-1"}})
	if err != nil || !c.Verify(key) {
		t.Fatalf("the request: %v", err)
	}
	sum := func(n int) string {
		s := sha256.Sum256([]byte(strings.Repeat("a", n)))
		return hex.EncodeToString(s[:])
	}
	chain := c.Chain(key)
	for i, chunk := range []struct {
		size      int
		signature string
	}{{65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
		{1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
		{0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}} {
		if !chain.Chunk(sum(chunk.size), chunk.signature) {
			t.Errorf("chunk %d is refused", i)
		}
	}
}

func TestForm(t *testing.T) {
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2026-03-01T13:00:00Z","conditions":[]}`))
	form := map[string]string{"policy": policy, "awsaccesskeyid": access, "signature": hmac1(policy)}
	c, err := signature.ParseForm(func(n string) string { return form[n] }, options)
	if err != nil || !c.Verify(secret) || c.Verify("x") {
		t.Errorf("version 2: %v", err)
	}
	key := []byte("AWS4" + secret)
	for _, word := range []string{"20260301", "us-east-1", "s3", "aws4_request", policy} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(word))
		key = h.Sum(nil)
	}
	form = map[string]string{"policy": policy, "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": "20260301T115900Z",
		"x-amz-credential": access + "/20260301/us-east-1/s3/aws4_request", "x-amz-signature": hex.EncodeToString(key)}
	if c, err = signature.ParseForm(func(n string) string { return form[n] }, options); err != nil || !c.Verify(secret) || c.Verify("x") {
		t.Errorf("version 4: %v", err)
	}
	form["policy"] += "A"
	if c, err = signature.ParseForm(func(n string) string { return form[n] }, options); err != nil || c.Verify(secret) {
		t.Errorf("another policy: %v", err)
	}
	if c, err = signature.ParseForm(func(string) string { return "" }, options); c != nil || err != nil {
		t.Errorf("no signature: %v, %v", c, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, address := range addresses {
		r := signed(f, "GET", address, "us-east-1", now)
		f.Add(r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"))
	}
	f.Add("/b/k?AWSAccessKeyId=a&Signature=b&Expires=1772370000&acl", "", "")
	f.Add("/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260301%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260301T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0", "", "")
	f.Add("/", "AWS a:b", "Sun, 01 Mar 2026 12:00:00 GMT")
	f.Fuzz(func(t *testing.T, target, authorization, date string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", URL: u, Host: "cloud.test", Header: http.Header{"X-Amz-Date": {date}, "X-Amz-Content-Sha256": {signature.UnsignedPayload}}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		c, err := signature.Parse(r, options)
		if err != nil {
			if failure.As(err) == nil || failure.As(err).Status >= 500 {
				t.Fatalf("not an answer: %v", err)
			}
			return
		}
		if c != nil && (c.Access == "" || c.Verify("another secret")) {
			t.Fatalf("claim %+v", c)
		}
	})
}
