package identity

import (
	"strings"
	"testing"
)

func TestPermits(t *testing.T) {
	t.Parallel()
	rules := []AccessRule{
		{Service: "compute", Method: "GET", Path: "/v2.1/servers"},
		{Service: "compute", Method: "GET", Path: "/v2.1/servers/{server_id}"},
		{Service: "image", Method: "PUT", Path: "/v2/images/*/file"},
		{Service: "volumev3", Method: "DELETE", Path: "/v3/**"},
		{Service: "network", Method: "POST", Path: "/v2.0/**/rules"},
	}
	for request, want := range map[string]bool{
		"compute GET /v2.1/servers":            true,
		"compute GET /v2.1/servers/":           true,
		"compute GET /v2.1/servers/abc":        true,
		"compute GET /v2.1/servers/abc/action": false,
		"compute POST /v2.1/servers":           false,
		"image GET /v2.1/servers":              false,
		"image PUT /v2/images/1/file":          true,
		"image PUT /v2/images//file":           false,
		"image PUT /v2/images/1/2/file":        false,
		"volumev3 DELETE /v3/a/b/c":            true,
		"volumev3 DELETE /v3":                  true,
		"volumev3 DELETE /v2":                  false,
		"network POST /v2.0/a/b/rules":         true,
		"network POST /v2.0/rules":             true,
		"network POST /v2.0/rules/x":           false,
	} {
		w := strings.Fields(request)
		if got := Permits(rules, w[0], w[1], w[2]); got != want {
			t.Errorf("%s: %v", request, got)
		}
	}
}

func FuzzCovers(f *testing.F) {
	f.Add("/v2/**/x", "/v2/a/x")
	f.Add("/{a}/*", "//")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern) > 40 || len(path) > 60 {
			t.Skip("bounded where rules are made")
		}
		if !strings.ContainsAny(pattern, "*{") && covers(pattern, path) && strings.Trim(pattern, "/") != strings.Trim(path, "/") {
			t.Fatalf("%q covers %q", pattern, path)
		}
	})
}
