package metadata_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent/metadata"
	"github.com/mekcloud/mek/internal/compute/guest"
)

// street is a host with two guests that have secrets.
type street struct{}

func (street) ServerAt(peer netip.Addr) (string, bool) {
	server, ok := map[string]string{"127.0.0.11": "one", "127.0.0.12": "two", "127.0.0.13": "gone"}[peer.String()]
	return server, ok
}

func (street) Metadata(server string) (guest.Metadata, bool) {
	if server != "one" && server != "two" {
		return guest.Metadata{}, false // unless somebody asks for what is not known by a port
	}
	return guest.Metadata{MetaData: json.RawMessage(`{"uuid":"` + server + `"}`), NetworkData: json.RawMessage(`{}`), Password: "password of " + server,
		UserData: []byte("secret of " + server), EC2: json.RawMessage(`{"instance-id":"` + server + `"}`)}, true
}

// say sends bytes from an address and gives the answer.
func say(t *testing.T, to net.Addr, from, request string) (status int, body string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: netip.MustParseAddr(from).AsSlice()}, Timeout: 10 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q from %s: %v", request, from, err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// secrets are the addresses of what a guest has, and each what is there.
var secrets = map[string]string{
	"/openstack/latest/meta_data.json": `{"uuid":"%s"}`, "/openstack/latest/user_data": "secret of %s", "/openstack/latest/password": "password of %s",
	"/latest/user-data": "secret of %s", "/2009-04-04/meta-data/instance-id": "%s",
}

// identities are what OpenStack's proxies say of who asks, and what other
// proxies do.
var identities = []string{"X-Forwarded-For", "X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID", "X-Project-ID", "X-Metadata-Provider", "X-Metadata-Provider-Signature",
	"X-OVN-Network-ID", "X-Neutron-Network-ID", "X-Neutron-Router-ID", "X-Real-IP", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "Forwarded"}

// TestForgedRequests (SEC-20): whatever a request says of itself, who asks by
// one port gets what is that port's, and who asks by none gets nothing.
func TestForgedRequests(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := metadata.New(street{}, street{}, &host{}, slog.New(slog.DiscardHandler))
	go func() { _ = s.Serve(t.Context(), l) }()
	get := func(target, headers string) string {
		return "GET " + target + " HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n"
	}
	for _, value := range []string{"two", "127.0.0.12", "for=127.0.0.12", "127.0.0.12, 127.0.0.11", "::ffff:127.0.0.12", "/latest/user-data"} {
		headers := "Host: " + value + "\r\n"
		if strings.ContainsAny(value, "=, /") {
			headers = "Host: two\r\n"
		}
		for _, name := range identities {
			headers += name + ": " + value + "\r\n" + name + ": two\r\n"
		}
		for target, want := range secrets {
			for from, who := range map[string]string{"127.0.0.11": "one", "127.0.0.12": "two"} {
				for _, to := range []string{target, "http://127.0.0.12" + target, "http://two@two" + target, target + "?instance-id=two&uuid=two"} {
					if status, got := say(t, l.Addr(), from, get(to, headers)); status != 200 || got != fmt.Sprintf(want, who) {
						t.Fatalf("%s of %s with %s: %d %q", to, who, value, status, got)
					}
				}
			}
			for _, from := range []string{"127.0.0.1", "127.0.0.13", "127.0.0.14"} { // the host, who was deleted, a stranger
				if status, got := say(t, l.Addr(), from, get(target, headers)); status != 404 || got != "404 Not Found\n" {
					t.Fatalf("%s of nobody at %s with %s: %d %q", target, from, value, status, got)
				}
			}
		}
	}
	t.Run("ways out of the tree", func(t *testing.T) {
		for _, target := range []string{"/openstack/latest/../../../etc/passwd", "/openstack/content/../../etc/passwd", "/openstack/content/%2e%2e/%2e%2e/etc/passwd", "/openstack/latest/..%2f..%2fetc%2fpasswd",
			"/../two/openstack/latest/meta_data.json", "/two/openstack/latest/meta_data.json", "/openstack/latest/two", "/openstack/latest/meta_data.json/../../two", "/openstack/latest/meta_data.json%00",
			"/openstack/latest\\..\\two", "/latest/meta-data/../../two", "/latest/user-data/..", "/latest/meta-data/instance-id/..", "/openstack/latest/./meta_data.json", "/openstack/latest/password/two",
			"/server/two", "/etc/passwd", "/openstack/2012-08-10/../latest/user_data", "http://two", "*"} {
			status, got := say(t, l.Addr(), "127.0.0.11", get(target, "Host: two\r\n"))
			switch root := target == "http://two"; {
			case strings.Contains(got, "two") || strings.Contains(got, "root:"):
				t.Errorf("%s: %d %q", target, status, got)
			case !root && status < 400:
				t.Errorf("%s: %d %q", target, status, got)
			}
		}
	})
	t.Run("two requests in one", func(t *testing.T) {
		inner := get("/latest/user-data", "Host: two\r\nX-Instance-ID: two\r\n")
		for _, headers := range []string{fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(inner)), "Content-Length: 0\r\nContent-Length: 7\r\n", "Transfer-Encoding: chunked, identity\r\n"} {
			request := "POST /openstack/latest/meta_data.json HTTP/1.1\r\nHost: one\r\n" + headers + "\r\n0\r\n\r\n" + inner
			if status, got := say(t, l.Addr(), "127.0.0.11", request); status < 400 || strings.Contains(got, "two") {
				t.Errorf("%q: %d %q", headers, status, got)
			}
		}
	})
}
