package egress

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

func TestOnlyPublicAddresses(t *testing.T) {
	c, err := New([]string{"127.0.0.1:8081"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"9.9.9.9:443": true, "9.9.9.9:80": true, "[2620:fe::9]:443": true, "127.0.0.1:8081": true, "[::ffff:127.0.0.1]:8081": true,
		"9.9.9.9:22": false, "127.0.0.1:80": false, "10.1.2.3:80": false, "169.254.169.254:80": false, "172.16.0.1:443": false, "192.168.1.1:80": false,
		"100.64.0.1:80": false, "[::1]:80": false, "[fe80::1]:80": false, "[fd00::1]:80": false, "[::ffff:10.0.0.1]:80": false, "0.0.0.0:80": false, "224.0.0.1:80": false,
		"255.255.255.255:80": false, "nonsense": false,
		// Addresses that carry another, which is inside.
		"[64:ff9b::7f00:1]:80": false, "[64:ff9b::a9fe:a9fe]:80": false, "[2002:7f00:1::1]:80": false, "[::7f00:1]:80": false, "[2001:0:7f00:1::]:443": false,
		"[fec0::1]:80": false, "192.0.0.170:80": false, "198.18.0.1:80": false, "240.0.0.1:80": false, "0.1.2.3:80": false} {
		if got := c.check(address) == nil; got != want {
			t.Errorf("%s: allowed %t", address, got)
		}
	}
	for _, address := range []string{"file:///etc/passwd", "http://user@host/", "gopher://x", "http://", "::", "http://[::1"} {
		if !fault.Is(Check(address), fault.Invalid) {
			t.Errorf("%s may be fetched", address)
		}
	}
}

// A name, or a redirect, that leads inside is refused when it is resolved.
func TestRedirectsAreChecked(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte("bytes")) // a client that left needs no answer
	}))
	defer inside.Close()
	address := strings.TrimPrefix(inside.URL, "http://")
	closed, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := closed.Get(t.Context(), inside.URL); !fault.Is(err, fault.Invalid) || strings.Contains(fault.As(err).Text, address) {
		t.Errorf("loopback: %v", err)
	}
	open, err := New([]string{address})
	if err != nil {
		t.Fatal(err)
	}
	body, size, err := open.Get(t.Context(), inside.URL)
	if err != nil || size != 5 {
		t.Fatalf("allowed by the operator: %d, %v", size, err)
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != "bytes" || body.Close() != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, _, err := open.Get(t.Context(), inside.URL+"/away"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a redirect inside: %v", err)
	}
}

// TestOddSpellings (SEC-06): a number, or a name that means an address inside, is
// resolved and checked as what it is, and whatever fails is said in the same words.
func TestOddSpellings(t *testing.T) {
	c, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, host := range []string{"2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0", "[64:ff9b::7f00:1]",
		"①②⑦.0.0.1", "127.0.0.1.", "localhost."} {
		_, _, err := c.Get(t.Context(), "http://"+host+"/")
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", host, err)
			continue
		}
		said[fault.As(err).Text] = true
	}
	if len(said) != 1 {
		t.Errorf("what fails can be told apart: %v", said)
	}
}

// TestNothingIsForwarded (SEC-06): who is redirected to gets nothing that the
// first was sent: no credentials, no cookies, no referrer.
func TestNothingIsForwarded(t *testing.T) {
	seen := make(chan http.Header, 2)
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer second.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, second.URL, http.StatusFound)
	}))
	defer first.Close()
	c, err := New([]string{strings.TrimPrefix(first.URL, "http://"), strings.TrimPrefix(second.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := c.Get(t.Context(), first.URL+"/?secret=1")
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	<-seen
	got := <-seen
	for _, name := range []string{"Authorization", "Cookie", "X-Auth-Token", "Proxy-Authorization"} {
		if v := got.Get(name); v != "" {
			t.Errorf("%s: %s is forwarded", name, v)
		}
	}
	if strings.Contains(got.Get("Referer"), "secret") {
		t.Errorf("the first address is told: %s", got.Get("Referer"))
	}
}
