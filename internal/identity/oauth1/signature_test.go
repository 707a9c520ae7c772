package oauth1

import (
	"net/url"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/identity"
)

// The example of RFC 5849, section 3.4.1.
func TestBaseString(t *testing.T) {
	query := url.Values{"b5": {"=%3D"}, "a3": {"a", "2 q"}, "c@": {""}, "a2": {"r b"}, "c2": {""}}
	params := map[string]string{"realm": "Example", "oauth_consumer_key": "9djdj82h48djs9d2", "oauth_token": "kkk9d7dh3k39sjv7",
		"oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "137131201", "oauth_nonce": "7d8f3e4a", "oauth_signature": "djosJKDKJSD8743243%2Fjdk33klY%3D"}
	got := base(identity.SignedRequest{Method: "post", URL: "http://EXAMPLE.COM:80/request", Query: query}, params)
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSignaturesAge(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for text, want := range map[string]bool{"1000000": true, "999500": true, "1000500": true, "999000": false, "1001000": false, "": false, "x": false} {
		if fresh(map[string]string{"oauth_timestamp": text}, now) != want {
			t.Errorf("%q is fresh: %t", text, !want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"", "OAuth ", `OAuth realm="", oauth_nonce="a%20b"`, `oauth a="1",b="2"`, `OAuth a="1", a="2"`, `OAuth a="%zz"`, "Bearer x", `OAuth a="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		params := parseHeader(header)
		if len(params) > maxParams {
			t.Errorf("%d parameters", len(params))
		}
		if fits(identity.SignedRequest{Method: "POST", URL: header, Authorization: header}, params, "secret", "") {
			t.Error("an unsigned request fits")
		}
	})
}
