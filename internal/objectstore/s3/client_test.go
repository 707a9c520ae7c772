package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/mekcloud/mek/internal/testcloud"
)

// client signs requests with the SDK's signer. Without a key it is anonymous.
type client struct {
	t       testing.TB
	url     string
	key     aws.Credentials
	project string
	at      time.Time // zero: now
	region  string
	host    string // instead of the address's
}

// newClient makes a key for the user of a token.
func newClient(t testing.TB, c *testcloud.Cloud, who *testcloud.Client) *client {
	t.Helper()
	a := who.Do("POST", "/identity/v3/users/"+who.UserID+"/credentials/OS-EC2", map[string]any{"tenant_id": who.ProjectID}).Expect(http.StatusCreated)
	return &client{t: t, url: c.S3, region: "us-east-1", project: who.ProjectID,
		key: aws.Credentials{AccessKeyID: a.String("credential.access"), SecretAccessKey: a.String("credential.secret")}}
}

func anonymous(t testing.TB, c *testcloud.Cloud) *client { return &client{t: t, url: c.S3} }

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// oracle is a new signer each time: a signer remembers keys by their public half.
func oracle() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

// request makes a signed request; headers are pairs.
func (c *client) request(method, path string, body []byte, headers ...string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, bytes.NewReader(body))
	must(c.t, err)
	if c.host != "" {
		r.Host = c.host
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if strings.EqualFold(headers[i], "Content-Length") {
			r.ContentLength = -1
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	if c.key.AccessKeyID == "" {
		return r
	}
	sum := r.Header.Get("X-Amz-Content-Sha256")
	if sum == "" {
		raw := sha256.Sum256(body)
		sum = hex.EncodeToString(raw[:])
		r.Header.Set("X-Amz-Content-Sha256", sum)
	}
	at := c.at
	if at.IsZero() {
		at = time.Now()
	}
	must(c.t, oracle().SignHTTP(context.Background(), c.key, r, sum, "s3", c.region, at))
	return r
}

// presign gives an address that works without a signature in headers.
func (c *client) presign(method, path string, expires string, at time.Time, headers ...string) (string, http.Header) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, nil)
	must(c.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	q := r.URL.Query()
	q.Set("X-Amz-Expires", expires)
	r.URL.RawQuery = q.Encode()
	to, header, err := oracle().PresignHTTP(context.Background(), c.key, r, "UNSIGNED-PAYLOAD", "s3", c.region, at)
	must(c.t, err)
	return strings.TrimPrefix(to, c.url), header
}

func (c *client) send(r *http.Request) *answer {
	c.t.Helper()
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := hc.Do(r)
	must(c.t, err)
	defer a.Body.Close()
	out, err := io.ReadAll(a.Body)
	must(c.t, err)
	return &answer{c.t, a.StatusCode, a.Header, out}
}

func (c *client) do(method, path string, body string, headers ...string) *answer {
	c.t.Helper()
	return c.send(c.request(method, path, []byte(body), headers...))
}

func (c *client) get(path string, headers ...string) *answer {
	c.t.Helper()
	return c.do("GET", path, "", headers...)
}

func (c *client) put(path, body string, headers ...string) *answer {
	c.t.Helper()
	return c.do("PUT", path, body, headers...)
}

func (a *answer) expect(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// fails checks status and code of an error document.
func (a *answer) fails(status int, code string) *answer {
	a.t.Helper()
	var e struct {
		XMLName           xml.Name `xml:"Error"`
		Code, Message     string
		RequestId, HostId string
		Resource          string
	}
	if err := xml.Unmarshal(a.body, &e); err != nil {
		a.t.Fatalf("no error document (%d): %s", a.status, a.body)
	}
	if a.status != status || e.Code != code {
		a.t.Fatalf("%d %s, want %d %s: %s", a.status, e.Code, status, code, a.body)
	}
	if e.RequestId == "" || e.HostId == "" || e.Message == "" || a.header.Get("X-Amz-Request-Id") != e.RequestId {
		a.t.Fatalf("the error is not whole: %s", a.body)
	}
	return a
}

// has checks that a header has a value.
func (a *answer) has(name, value string) *answer {
	a.t.Helper()
	if got := a.header.Get(name); got != value {
		a.t.Fatalf("%s is %q, want %q", name, got, value)
	}
	return a
}

func (a *answer) is(body string) *answer {
	a.t.Helper()
	if string(a.body) != body {
		a.t.Fatalf("body %.200q, want %.200q", a.body, body)
	}
	return a
}

// texts are the contents of all elements of a name.
func (a *answer) texts(element string) []string {
	a.t.Helper()
	d := xml.NewDecoder(bytes.NewReader(a.body))
	var out []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		must(a.t, err)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			var text string
			must(a.t, d.DecodeElement(&text, &start))
			out = append(out, strings.TrimSpace(text))
		}
	}
}

func (a *answer) text(element string) string {
	a.t.Helper()
	all := a.texts(element)
	if len(all) == 0 {
		a.t.Fatalf("no %s in %s", element, a.body)
	}
	return all[0]
}

func (a *answer) lists(element string, want ...string) *answer {
	a.t.Helper()
	got := a.texts(element)
	if strings.Join(got, "|") != strings.Join(want, "|") {
		a.t.Fatalf("%s are %q, want %q: %s", element, got, want, a.body)
	}
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func etag(text string) string { return `"` + md5Of(text) + `"` }

func contentMD5(text string) string {
	sum := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func escaped(path string) string { return (&url.URL{Path: path}).EscapedPath() }
