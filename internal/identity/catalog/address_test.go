package catalog

import (
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"/compute/v2.1":                             "https://cloud:443/compute/v2.1",
		"http://swift/v1/AUTH_%(project_id)s":       "http://swift/v1/AUTH_p",
		"http://swift/v1/AUTH_$(tenant_id)s":        "http://swift/v1/AUTH_p",
		"/heat-api/v1/%(project_id)s/u/$(user_id)s": "https://cloud:443/heat-api/v1/p/u/u",
		"http://plain":                              "http://plain",
	} {
		if got, ok := address(url, "https://cloud:443", "p", "u"); got != want || !ok {
			t.Errorf("%s gives %s, %v", url, got, ok)
		}
	}
	if _, ok := address("http://swift/v1/AUTH_%(project_id)s", "r", "", "u"); ok {
		t.Error("an address that needs a project is shown without one")
	}
	for url, want := range map[string]bool{"http://a/%(project_id)s": true, "http://a/$(user_id)s": true, "http://a/%(admin_token)s": false,
		"http://a/%(project_id)": false, "http://a/$(x": false, "http://a": true} {
		if got := validAddress(url); got != want {
			t.Errorf("%s is valid: %v", url, got)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("/v1/%(project_id)s")
	f.Add("http://h/$(user_id)s%(")
	f.Fuzz(func(t *testing.T, url string) {
		if !validAddress(url) {
			return
		}
		out, ok := address(url, "", "project", "user")
		if !ok || strings.Contains(out, "%(") || strings.Contains(out, "$(") {
			t.Fatalf("%q is taken and gives %q, %v", url, out, ok)
		}
	})
}
