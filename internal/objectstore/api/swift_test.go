package objectstoreapi_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// shop is the account of project demo, and a foreign caller.
type shop struct {
	t       *testing.T
	cloud   *testcloud.Cloud
	demo    *testcloud.Client
	account string // "/v1/AUTH_…"
}

func open(t *testing.T) *shop {
	t.Helper()
	t.Parallel()
	c := testcloud.New(t)
	return &shop{t, c, c.Demo, "/v1/AUTH_" + c.Demo.ProjectID}
}

// do sends a request of project demo below its account.
func (s *shop) do(method, path string, body any, headers ...string) *testcloud.Answer {
	s.t.Helper()
	return s.demo.Do(method, s.account+path, body, headers...)
}

func (s *shop) put(path, content string, headers ...string) *testcloud.Answer {
	s.t.Helper()
	return s.do("PUT", path, content, headers...).Expect(201)
}

// expect compares a status and a body.
func (s *shop) expect(a *testcloud.Answer, status int, body string) *testcloud.Answer {
	s.t.Helper()
	a.Expect(status)
	if string(a.Body) != body {
		s.t.Fatalf("body %q, want %q", a.Body, body)
	}
	return a
}

func (s *shop) header(a *testcloud.Answer, name, want string) {
	s.t.Helper()
	if got := a.Header.Get(name); got != want {
		s.t.Fatalf("%s: %q, want %q", name, got, want)
	}
}

func sum(content string) string {
	h := md5.Sum([]byte(content))
	return hex.EncodeToString(h[:])
}

func page(status int, text string) string {
	return fmt.Sprintf("<html><h1>%s</h1><p>%s</p></html>", strings.SplitN(http.StatusText(status), "\n", 2)[0], text)
}

func TestAccount(t *testing.T) {
	s := open(t)
	a := s.do("HEAD", "", nil).Expect(204)
	for name, want := range map[string]string{"X-Account-Container-Count": "0", "X-Account-Object-Count": "0", "X-Account-Bytes-Used": "0",
		"Content-Type": "text/plain; charset=utf-8"} {
		s.header(a, name, want)
	}
	if !strings.HasPrefix(a.Header.Get("X-Trans-Id"), "tx") || a.Header.Get("X-Trans-Id") != a.Header.Get("X-Openstack-Request-Id") {
		t.Errorf("transaction %v", a.Header)
	}
	s.expect(s.do("GET", "", nil), 204, "")
	s.expect(s.do("GET", "?format=json", nil), 200, "[]")
	s.do("POST", "", nil, "X-Account-Meta-Color", "red", "X-Account-Meta-Size", "1").Expect(204)
	s.do("POST", "", nil, "X-Account-Meta-Shape", "round", "X-Remove-Account-Meta-Size", "x").Expect(204)
	a = s.do("HEAD", "", nil).Expect(204)
	s.header(a, "X-Account-Meta-Color", "red")
	s.header(a, "X-Account-Meta-Shape", "round")
	s.header(a, "X-Account-Meta-Size", "")
	s.do("POST", "", nil, "X-Account-Meta-Color", "").Expect(204)
	s.header(s.do("HEAD", "", nil), "X-Account-Meta-Color", "")

	for _, c := range []string{"b", "a", "ä"} {
		s.do("PUT", "/"+c, nil).Expect(201)
	}
	s.put("/a/o", "hello")
	s.expect(s.do("GET", "", nil), 200, "a\nb\nä\n")
	s.expect(s.do("GET", "?limit=1", nil), 200, "a\n")
	s.expect(s.do("GET", "?limit=0", nil), 204, "")
	s.expect(s.do("GET", "?marker=a&end_marker=ä", nil), 200, "b\n")
	s.expect(s.do("GET", "?reverse=on", nil), 200, "ä\nb\na\n")
	s.expect(s.do("GET", "?limit=10001", nil), 412, "Maximum limit is 10000")
	a = s.do("GET", "?format=json&prefix=a", nil).Expect(200)
	if a.String("0.name") != "a" || a.Value("0.bytes") != 5.0 || a.Value("0.count") != 1.0 {
		t.Errorf("listing %s", a.Body)
	}
	a = s.do("GET", "", nil, "Accept", "application/xml").Expect(200)
	if want := `<account name="AUTH_` + s.demo.ProjectID + `">`; !strings.Contains(string(a.Body), want) || !strings.Contains(string(a.Body), "<name>b</name><count>0</count><bytes>0</bytes>") {
		t.Errorf("listing %s", a.Body)
	}
	s.header(a, "Content-Type", "application/xml; charset=utf-8")
	s.header(a, "X-Account-Object-Count", "1")
	s.header(a, "X-Account-Storage-Policy-Policy-0-Bytes-Used", "5")
	s.do("GET", "", nil, "Accept", "image/png").Expect(406)
	s.do("DELETE", "", nil).Expect(403)
	s.do("PUT", "", nil).Expect(403)
}

func TestContainer(t *testing.T) {
	s := open(t)
	s.do("GET", "/c", nil).Expect(404)
	s.do("POST", "/c", nil).Expect(404)
	s.do("DELETE", "/c", nil).Expect(404)
	s.do("PUT", "/c", nil, "X-Container-Meta-Color", "red").Expect(201)
	s.do("PUT", "/c", nil, "X-Container-Meta-Size", "2").Expect(202)
	a := s.do("HEAD", "/c", nil).Expect(204)
	s.header(a, "X-Container-Meta-Color", "red")
	s.header(a, "X-Container-Meta-Size", "2")
	s.header(a, "X-Storage-Policy", "Policy-0")
	s.header(a, "X-Container-Object-Count", "0")
	s.do("POST", "/c", nil, "X-Remove-Container-Meta-Color", "x", "X-Container-Read", ".r:*, .rlistings").Expect(204)
	a = s.do("HEAD", "/c", nil).Expect(204)
	s.header(a, "X-Container-Meta-Color", "")
	s.header(a, "X-Container-Read", ".r:*,.rlistings")
	s.do("POST", "/c", nil, "X-Remove-Container-Read", "x").Expect(204)
	s.header(s.do("HEAD", "/c", nil), "X-Container-Read", "")
	s.expect(s.do("POST", "/c", nil, "X-Container-Write", ".r:*"), 400, "Referrers not allowed in write ACL: '.r:*'")
	s.expect(s.do("PUT", "/d", nil, "X-Storage-Policy", "gold"), 400, "Invalid X-Storage-Policy 'gold'")
	s.do("PUT", "/d", nil, "X-Storage-Policy", "policy-0").Expect(201)
	s.expect(s.do("PUT", "/"+strings.Repeat("n", 257), nil), 400, "Container name length of 257 longer than 256")
	s.expect(s.do("POST", "/c", nil, "X-Container-Meta-"+strings.Repeat("n", 129), "x"), 400, "Metadata name too long: x-container-meta-N"+strings.Repeat("n", 128))
	for _, name := range []string{"a", "b/1", "b/2", "c/x/y", "d"} {
		s.put("/c/"+name, name)
	}
	s.do("DELETE", "/c", nil).Expect(409)
	s.expect(s.do("GET", "/c", nil), 200, "a\nb/1\nb/2\nc/x/y\nd\n")
	s.expect(s.do("GET", "/c?delimiter=/", nil), 200, "a\nb/\nc/\nd\n")
	s.expect(s.do("GET", "/c?delimiter=/&prefix=b/", nil), 200, "b/1\nb/2\n")
	s.expect(s.do("GET", "/c?delimiter=/&marker=b/", nil), 200, "c/\nd\n")
	s.expect(s.do("GET", "/c?delimiter=/&reverse=true&limit=2", nil), 200, "d\nc/\n")
	s.put("/c/b", "")
	s.put("/c/c/", "")
	s.expect(s.do("GET", "/c?path=", nil), 200, "a\nb\nc/\nd\n")
	s.expect(s.do("GET", "/c?path=b", nil), 200, "b/1\nb/2\n")
	s.expect(s.do("GET", "/c?path=c/x&limit=5", nil), 200, "c/x/y\n")
	a = s.do("GET", "/c?format=json&delimiter=/", nil).Expect(200)
	if a.String("0.name") != "a" || a.String("0.hash") != sum("a") || a.String("2.subdir") != "b/" {
		t.Errorf("listing %s", a.Body)
	}
	a = s.do("GET", "/c?format=xml&delimiter=/&limit=3", nil).Expect(200)
	if want := `<subdir name="b/"><name>b/</name></subdir></container>`; !strings.HasSuffix(string(a.Body), want) {
		t.Errorf("listing %s", a.Body)
	}
	s.header(a, "X-Container-Object-Count", "7")
}

func TestObject(t *testing.T) {
	s := open(t)
	s.do("PUT", "/none/o", "x").Expect(404)
	s.do("PUT", "/c", nil).Expect(201)
	s.expect(s.do("GET", "/c/o", nil), 404, page(404, "The resource could not be found."))
	a := s.put("/c/o", "hello world", "Content-Type", "text/x", "X-Object-Meta-Color", "red", "Content-Encoding", "gzip", "Content-Disposition", "attachment")
	s.header(a, "Etag", sum("hello world"))
	a = s.expect(s.do("GET", "/c/o", nil, "Accept-Encoding", "gzip"), 200, "hello world")
	for name, want := range map[string]string{"Content-Type": "text/x", "X-Object-Meta-Color": "red", "Content-Encoding": "gzip", "Content-Disposition": "attachment",
		"Etag": sum("hello world"), "Content-Length": "11", "Accept-Ranges": "bytes"} {
		s.header(a, name, want)
	}
	a = s.do("HEAD", "/c/o", nil).Expect(200)
	s.header(a, "Content-Length", "11")
	s.do("POST", "/c/o", nil, "X-Object-Meta-Size", "2", "Content-Type", "text/y").Expect(202)
	a = s.do("HEAD", "/c/o", nil).Expect(200)
	for name, want := range map[string]string{"X-Object-Meta-Color": "", "X-Object-Meta-Size": "2", "Content-Encoding": "", "Content-Type": "text/y"} {
		s.header(a, name, want)
	}
	s.do("POST", "/c/none", nil).Expect(404)

	modified := a.Header.Get("Last-Modified")
	a = s.expect(s.do("GET", "/c/o", nil, "Range", "bytes=6-"), 206, "world")
	s.header(a, "Content-Range", "bytes 6-10/11")
	s.expect(s.do("GET", "/c/o", nil, "Range", "bytes=-3"), 206, "rld")
	a = s.do("GET", "/c/o", nil, "Range", "bytes=11-").Expect(416)
	s.header(a, "Content-Range", "bytes */11")
	s.expect(s.do("GET", "/c/o", nil, "Range", "nonsense"), 200, "hello world")
	a = s.do("GET", "/c/o", nil, "Range", "bytes=0-1,4-5").Expect(206)
	boundary := strings.TrimPrefix(a.Header.Get("Content-Type"), "multipart/byteranges;boundary=")
	part := func(r, bytes string) string {
		return "--" + boundary + "\r\nContent-Type: text/y\r\nContent-Range: bytes " + r + "/11\r\n\r\n" + bytes + "\r\n"
	}
	if want := part("0-1", "he") + part("4-5", "o ") + "--" + boundary + "--"; string(a.Body) != want {
		t.Errorf("ranges %q", a.Body)
	}

	s.expect(s.do("GET", "/c/o", nil, "If-None-Match", sum("hello world")), 304, "")
	s.do("GET", "/c/o", nil, "If-Match", "x").Expect(412)
	s.do("GET", "/c/none", nil, "If-Match", "*").Expect(412)
	s.do("HEAD", "/c/o", nil, "If-Unmodified-Since", "Fri, 02 Jan 2015 03:04:05 GMT").Expect(412)
	s.do("HEAD", "/c/o", nil, "If-Modified-Since", modified).Expect(304)
	s.do("PUT", "/c/o", "x", "If-None-Match", "*").Expect(412)
	s.do("PUT", "/c/new", "x", "If-None-Match", "*").Expect(201)
	s.expect(s.do("PUT", "/c/o", "x", "If-None-Match", "abc"), 400, "If-None-Match only supports *")
	s.do("PUT", "/c/o", "x", "Etag", sum("y")).Expect(422)
	s.do("PUT", "/c/o", "x", "Etag", `"`+sum("x")+`"`).Expect(201)
	s.expect(s.do("PUT", "/c/"+strings.Repeat("n", 1025), "x"), 400, "Object name length of 1025 longer than 1024")
	s.expect(s.do("PUT", "/c/o", "x", "X-Delete-At", "x"), 400, "Non-integer X-Delete-At")
	s.expect(s.do("PUT", "/c/o", "x", "Content-Type", "text/x;swift_bytes=5"), 400, "Invalid Content-Type, swift_* is not a valid parameter name.")
	s.do("PUT", "/c/o", "x", "X-Delete-After", "1000", "Content-Type", "").Expect(201)
	a = s.do("HEAD", "/c/o", nil).Expect(200)
	if a.Header.Get("X-Delete-At") == "" || a.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("headers %v", a.Header)
	}
	s.do("DELETE", "/c/o", nil).Expect(204)
	s.do("DELETE", "/c/o", nil).Expect(404)
	s.do("PUT", "/c/%2e%2e/a%2Fb", "x").Expect(201)
	s.expect(s.do("GET", "/c?prefix=..", nil), 200, "../a/b\n")
	s.do("GET", "/c/%00", nil).Expect(412)
	s.do("GET", "/c/%ff", nil).Expect(412)
	s.do("PATCH", "/c/o", nil).Expect(405)
	s.demo.Get("/" + s.account).Expect(404)
	s.expect(s.do("DELETE", "/c/none", nil, "X-If-Delete-At", "bad"), 400, "Bad X-If-Delete-At header value")
	s.put("/c/later", "x", "X-Delete-At", "9000000000")
	s.do("DELETE", "/c/later", nil, "X-If-Delete-At", "9000000001").Expect(412)
	s.do("DELETE", "/c/later", nil, "X-If-Delete-At", "9000000000").Expect(204)
}

func TestLargeBodiesAreStreamed(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	s.do("PUT", "/c/big", content).Expect(201)
	a := s.do("GET", "/c/big", nil).Expect(200)
	if !bytes.Equal(a.Body, content) {
		t.Fatal("other bytes came back")
	}
	s.expect(s.do("GET", "/c/big", nil, "Range", "bytes=1048560-1048570"), 206, "0123456789a")
	request, err := http.NewRequest("PUT", s.cloud.URL+s.account+"/c/chunked", struct{ *bytes.Reader }{bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = -1
	request.Header.Set("X-Auth-Token", s.demo.Token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	s.header(s.do("HEAD", "/c/chunked", nil).Expect(200), "Content-Length", "1048576")
}

func TestKeptConnection(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	s.put("/c/o", "x")
	s.header(s.do("GET", "/c/o", nil), "Connection", "")
	s.header(s.expect(s.do("GET", "/c/o", nil, "Connection", "Keep-Alive"), 200, "x"), "Connection", "keep-alive")
}
