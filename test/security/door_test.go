package security

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/testcloud"
)

// raw sends bytes as they are and reads what comes back until the other side
// closes or says nothing for a while.
func raw(t *testing.T, url string, parts ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(&out, conn)
		done <- err
	}()
	for _, p := range parts {
		if _, err := io.WriteString(conn, p); err != nil {
			break // refused half-way: what was answered counts
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Log(err) // closed by the other side already
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the connection stays open")
		_ = conn.Close()
		<-done
	}
	return out.String()
}

// statuses lists the statuses of the answers on one connection.
func statuses(t *testing.T, out string) []string {
	t.Helper()
	var list []string
	r := bufio.NewReader(strings.NewReader(out))
	for {
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			return list
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			t.Errorf("body: %v", err)
		}
		list = append(list, fmt.Sprint(a.StatusCode))
	}
}

// TestSmuggling sends requests that two readers could cut differently. Each
// must be refused, or cut in the one way that the standard names; the request
// hidden in another's body must never be answered as the standard does not.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	host := "Host: " + strings.TrimPrefix(cloud.URL, "http://") + "\r\n"
	const hidden = "GET /identity/v3 HTTP/1.1\r\nHost: x\r\n\r\n"
	login := "POST /identity/v3/auth/tokens HTTP/1.1\r\n" + host
	for name, c := range map[string]struct{ request, want string }{
		"two lengths":                {login + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + hidden, "400"},
		"lengths in a list":          {login + "Content-Length: 2, 40\r\n\r\n{}" + hidden, "400"},
		"signed length":              {login + "Content-Length: +2\r\n\r\n{}" + hidden, "400"},
		"negative length":            {login + "Content-Length: -1\r\n\r\n{}" + hidden, "400"},
		"length in hexadecimal":      {login + "Content-Length: 0x2\r\n\r\n{}" + hidden, "400"},
		"length beyond 64 bits":      {login + "Content-Length: 18446744073709551618\r\n\r\n{}" + hidden, "400"},
		"chunked and a length":       {login + "Content-Length: 47\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + hidden, "400 200"},
		"chunked twice":              {login + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "501"},
		"chunked and identity":       {login + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden, "501"},
		"another coding":             {login + "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}" + hidden, "501"},
		"coding with a blank":        {login + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
		"chunk size is signed":       {login + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n" + hidden, "413"},
		"chunk size with a bare LF":  {login + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + hidden, "413"},
		"bare CR in a field":         {"GET /identity/v3 HTTP/1.1\r\n" + host + "X-A: b\rX-Auth-Token: c\r\n\r\n", "400"},
		"NUL in a field":             {"GET /identity/v3 HTTP/1.1\r\n" + host + "X-A: b\x00c\r\n\r\n", "400"},
		"no name in a field":         {"GET /identity/v3 HTTP/1.1\r\n" + host + ": b\r\n\r\n", "400"},
		"blank in front of a field":  {"GET /identity/v3 HTTP/1.1\r\n X-A: b\r\n" + host + "\r\n", "400"},
		"folded field":               {"GET /identity/v3 HTTP/1.1\r\n" + host + "X-A: b\r\n c\r\n\r\n", "200"},
		"two hosts":                  {"GET /identity/v3 HTTP/1.1\r\n" + host + "Host: other\r\n\r\n", "400"},
		"no host":                    {"GET /identity/v3 HTTP/1.1\r\n\r\n", "400"},
		"blank in the target":        {"GET /identity/v3 x HTTP/1.1\r\n" + host + "\r\n", "400"},
		"an absolute target":         {"GET http://other.example/identity/v3 HTTP/1.1\r\n" + host + "\r\n", "200"},
		"upgrade to plain HTTP/2":    {"GET /identity/v3 HTTP/1.1\r\n" + host + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "200"},
		"HTTP/2 without being asked": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
		"HTTP/3":                     {"GET /identity/v3 HTTP/3.0\r\n" + host + "\r\n", "505"},
		"HTTP/0.9":                   {"GET /identity/v3\r\n\r\n", "400"},
		"a tunnel":                   {"CONNECT internal:22 HTTP/1.1\r\n" + host + "\r\n", "404"},
		"lines with LF alone":        {"GET /identity/v3 HTTP/1.1\n" + strings.TrimSuffix(host, "\r\n") + "\n\n", "200"},
	} {
		out := raw(t, cloud.URL, c.request)
		if got := strings.Join(statuses(t, out), " "); got != c.want {
			t.Errorf("%s: answers %q, want %q\n%s", name, got, c.want, out)
		}
	}
}

// TestAbsoluteTargets: whatever host a request names, links go where it said it
// came from, and nothing is asked of that host.
func TestAbsoluteTargets(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	out := raw(t, cloud.URL, "GET http://elsewhere.example/identity/v3 HTTP/1.1\r\nHost: here.example\r\nX-Forwarded-Host: third.example\r\nX-Forwarded-Proto: ftp\r\nForwarded: host=fourth.example\r\n\r\n")
	if !strings.Contains(out, "http://elsewhere.example/identity/v3") || strings.Contains(out, "third") || strings.Contains(out, "fourth") || strings.Contains(out, "ftp:") {
		t.Errorf("links of\n%s", out)
	}
}

// TestHeadersOnEveryAnswer: every answer says what browsers may do with it,
// whoever made it.
func TestHeadersOnEveryAnswer(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	swift := "/v1/AUTH_" + cloud.Demo.ProjectID
	cloud.Demo.Do("PUT", swift+"/pages", nil, "X-Container-Read", ".r:*").Expect(201)
	cloud.Demo.Do("PUT", swift+"/pages/index.html", "<script>alert(1)</script>", "Content-Type", "text/html").Expect(201)
	anonymous := cloud.Anonymous()
	check := func(a *testcloud.Answer, status int, content string) {
		t.Helper()
		a.Expect(status)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Content-Security-Policy": content} {
			if got := a.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("status %d: %s is %q, want %q", status, name, got, want)
			}
		}
	}
	const data, page = "default-src 'none'", "sandbox allow-scripts"
	check(cloud.Demo.Get("/compute/v2.1/servers"), 200, data)
	check(anonymous.Get("/compute/v2.1/servers"), 401, data)
	check(cloud.Demo.Get("/compute/v2.1/servers/none"), 404, data)
	check(cloud.Demo.Get("/nowhere"), 404, data)
	check(cloud.Demo.Get("/compute/v2.1/servers?limit=x"), 400, data)
	check(anonymous.Get("/healthz"), 200, data)
	check(anonymous.Get("/console/vnc.html"), 200, data)
	check(anonymous.Get("/console/websockify?token=x"), 403, data)
	check(anonymous.Get(swift+"/pages/index.html"), 200, page)
	check(anonymous.Get("/v1/none"), 401, page)
	own := *anonymous
	own.URL = cloud.S3
	check(own.Get(swift+"/pages/index.html"), 200, page)
	check(own.Get("/"), 403, page)
	if strings.Contains(page, "allow-same-origin") || strings.Contains(cloud.Demo.Get(swift+"/pages/index.html").Header.Get("Content-Security-Policy"), "same-origin") {
		t.Error("a user's page has the cloud's own origin")
	}
}

// slow is a cloud that waits for nobody.
func slow(t *testing.T) *testcloud.Cloud {
	return testcloud.New(t, func(c *config.Config) {
		c.Limits.HeaderTimeout, c.Limits.StallTimeout = 300*time.Millisecond, 300*time.Millisecond
	})
}

// TestSlowRequests: a head or a body that does not come ends the connection.
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	cloud := slow(t)
	dial := func(send string) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(cloud.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	ends := func(name string, conn net.Conn, want string) {
		out, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	ends("nothing", dial(""), "")
	ends("half a head", dial("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "), "")
	ends("half a login", dial("POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"), "HTTP/1.1 413")
	ends("half an object", dial("PUT /v1/AUTH_"+cloud.Demo.ProjectID+"/c/o HTTP/1.1\r\nHost: x\r\nX-Auth-Token: "+cloud.Demo.Token+"\r\nContent-Length: 100\r\n\r\nx"), "HTTP/1.1 4")
	// A body that moves may take longer than one that stands still.
	conn := dial("POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
	beat := time.NewTicker(60 * time.Millisecond)
	defer beat.Stop()
	for range 10 {
		<-beat.C
		if _, err := io.WriteString(conn, " "); err != nil {
			t.Fatal(err)
		}
	}
	ends("a slow login", conn, "HTTP/1.1 400")
}

// TestBodiesAreReadLast: who is not known gets no more than an answer: its body
// is not asked for, and what a login may send is bounded.
func TestBodiesAreReadLast(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	expect := "Host: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 30\r\n"
	for _, path := range []string{"POST /compute/v2.1/servers", "PUT /image/v2/images/1/file", "POST /volume/v3/volumes", "POST /networking/v2.0/networks", "PUT /placement/traits/CUSTOM_A"} {
		out := raw(t, cloud.URL, path+" HTTP/1.1\r\n"+expect+"\r\n")
		if !strings.HasPrefix(out, "HTTP/1.1 401") {
			t.Errorf("%s without a token: %q", path, strings.SplitN(out, "\r\n", 2)[0])
		}
	}
	out := raw(t, cloud.URL, "POST /compute/v2.1/servers HTTP/1.1\r\nX-Auth-Token: "+cloud.Demo.Token+"\r\n"+expect+"\r\n", `{"server":{"name":"not whole"`)
	if !strings.HasPrefix(out, "HTTP/1.1 100") {
		t.Errorf("with a token: %q", out)
	}
	big := `{"auth":"` + strings.Repeat("x", 16<<10) + `"}`
	for _, path := range []string{"/identity/v3/auth/tokens", "/identity/v2.0/tokens", "/identity/v3/OS-OAUTH2/token", "/identity/v3/users/x/password"} {
		if a := cloud.Anonymous().Do("POST", path, big, "Content-Type", "application/x-www-form-urlencoded"); a.Status != 413 && a.Status != 400 {
			t.Errorf("a login of 16 KiB at %s: %d %s", path, a.Status, a.Body)
		}
	}
	if out := raw(t, cloud.URL, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("x", 80<<10)+"\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 431") {
		t.Errorf("a head of 80 KiB: %.60q", out)
	}
}
