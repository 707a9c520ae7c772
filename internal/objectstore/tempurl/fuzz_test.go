package tempurl

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"testing"
	"time"
)

// FuzzQuery feeds queries: nothing may panic, only what was signed may sign, and
// no time that is over may count.
func FuzzQuery(f *testing.F) {
	f.Add("temp_url_sig=da39a3ee5e6b4b0d3255bfef95601890afd80709&temp_url_expires=1323479485", "key")
	f.Add("temp_url_sig=sha512:ZrSijn0GyDhsv1ltIj9hWU==&temp_url_expires=2026-01-02T03:04:05Z&temp_url_prefix=&inline", "")
	f.Add("temp_url_sig=sha256:__--&temp_url_ip_range=::1/128&filename=%0a", "k")
	f.Fuzz(func(t *testing.T, text, key string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			t.Skip("no query")
		}
		now := time.Unix(1_500_000_000, 0)
		p := parse(query, now)
		if p.until != 0 && p.until < now.Unix() {
			t.Fatal("a time that is over counts")
		}
		if p.addresses != nil {
			_ = within("192.0.2.1:5", *p.addresses)
		}
		s, ok := ParseSignature(p.signature)
		if !ok {
			return
		}
		mac := hmac.New(s.digest, []byte(key))
		mac.Write([]byte("text"))
		sum := mac.Sum(nil)
		if s.Signs(key, "text") != hmac.Equal(sum, s.sum) {
			t.Fatal("another signature was accepted")
		}
		for _, form := range []string{hex.EncodeToString(sum), "sha256:" + base64.RawURLEncoding.EncodeToString(sum)} {
			if again, ok := ParseSignature(form); ok && len(again.sum) != len(sum) {
				t.Fatalf("%s was read as %x", form, again.sum)
			}
		}
	})
}
