package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLaterSourcesWin(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, SettingsFile, "listen: 127.0.0.1:1\nsimulate: 1\nbus:\n  listen: 127.0.0.1:10\n")
	write(t, dir, OperatorFile, "# mine\nsimulate: 2\nregion: Here\nidentity:\n  token_lifetime: 90m\nquotas:\n  instances: -1\n")
	c, err := Load(dir, []string{"MEK_REGION=There", "MEK_BUS__STREAMS=127.0.0.1:11", "MEK_RUN_ROOT=system", "MEK_TEST_GUEST=x", "MEK_BINARY=y", "HOME=/root"},
		map[string]any{"simulate": 3})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" || c.Simulate != 3 || c.Region != "There" || c.Bus.Listen != "127.0.0.1:10" ||
		c.Bus.Streams != "127.0.0.1:11" || c.Identity.TokenLifetime != 90*time.Minute || c.Quotas["instances"] != -1 {
		t.Fatalf("%+v", c)
	}
	if c.Network.PublicRange != "172.24.4.0/24" {
		t.Fatalf("default lost: %+v", c.Network)
	}
}

func TestIdentityProviders(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, OperatorFile, `public_url: https://cloud.example.org
identity:
  federation:
    trusted_dashboards: ["https://dashboard.example.org/auth/websso/"]
    default_authorization_ttl: 8h
    organization: {name: Us, url: "https://example.org"}
    providers:
      - {identity_provider: acme, protocol: openid, issuer: "https://login.acme.example", client_id: mek, client_secret: hush, scopes: [email]}
      - {identity_provider: corp, protocol: saml2, metadata: /etc/mek/corp.xml}
`)
	c, err := Load(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := c.Identity.Federation
	if f.AuthorizationTTL != 8*time.Hour || f.Organization.Name != "Us" || len(f.Providers) != 2 || f.Providers[0].ClientSecret != "hush" || f.Providers[0].Scopes[0] != "email" ||
		f.Providers[1].Metadata != "/etc/mek/corp.xml" || len(f.TrustedDashboards) != 1 {
		t.Errorf("%+v", f)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"listten: x":                              "listten",
		"bus:\n  lissten: y":                      "lissten",
		"listen: nowhere":                         "listen",
		"database: mysql://root:pw@h/db":          "database",
		"network:\n  public_range: 172.24.4.7/24": "public_range",
		"simulate: many":                          "simulate",
		"log_level: loud":                         "log_level",
		"- a":                                     "YAML",
		"insecure_http: true":                     "loopback",

		"identity:\n  federation:\n    trusted_dashboards: [here]":                                                                          "no address",
		"identity:\n  federation:\n    providers: [{identity_provider: a, protocol: b, metadata: /m}]":                                      "public_url",
		"public_url: https://c\nidentity:\n  federation:\n    providers: [{identity_provider: a, metadata: /m}]":                            "protocol",
		"public_url: https://c\nidentity:\n  federation:\n    providers: [{identity_provider: a, protocol: b}]":                             "issuer",
		"public_url: https://c\nidentity:\n  federation:\n    providers: [{identity_provider: a, protocol: b, metadata: m}]":                "absolute",
		"public_url: https://c\nidentity:\n  federation:\n    providers: [{identity_provider: a, protocol: b, isuer: x}]":                   "isuer",
		"public_url: https://c\nidentity:\n  federation:\n    providers: [&p {identity_provider: a, protocol: b, metadata: /m, issuer: x}]": "not both",
		"public_url: https://c\nidentity:\n  federation:\n    providers: [&p {identity_provider: a, protocol: b, metadata: /m}, *p]":        "twice",
	} {
		dir := t.TempDir()
		write(t, dir, OperatorFile, text)
		_, err := Load(dir, nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v does not name %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestRememberKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for _, choices := range []map[string]any{{"listen": "127.0.0.1:1", "bus.listen": "127.0.0.1:2"}, {"bus.streams": "127.0.0.1:3"}} {
		if err := Remember(dir, choices); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" || c.Bus.Listen != "127.0.0.1:2" || c.Bus.Streams != "127.0.0.1:3" {
		t.Fatalf("%+v", c)
	}
}

func TestTwoCloudsHaveTwoNames(t *testing.T) {
	a, b := Default("/var/lib/mek"), Default("/srv/other")
	if a.Hash == b.Hash || a.RunDir() == b.RunDir() {
		t.Fatalf("%s %s", a.Hash, b.Hash)
	}
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("listen: 127.0.0.1:1\nbus: {listen: x}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			t.Skip("configuration files are small")
		}
		dir := t.TempDir()
		write(t, dir, OperatorFile, string(b))
		if _, err := Load(dir, nil, nil); err != nil && err.Error() == "" {
			t.Fatal("an error without a text")
		}
	})
}
