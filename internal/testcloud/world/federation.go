package world

import (
	_ "embed"
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/testcloud"
)

//go:embed testdata/idp.xml
var metadata []byte

// dashboard is where tokens of browsers' logins go.
const dashboard = "http://127.0.0.1:9/websso/"

// Federation sets up the identity provider that worlds have, for clouds whose
// clients do not go by the catalog: it shows an address where nobody is.
func Federation(t testing.TB) testcloud.Option {
	t.Helper()
	file := filepath.Join(t.TempDir(), "idp.xml")
	if err := os.WriteFile(file, metadata, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *config.Config) {
		c.PublicURL = "http://127.0.0.1:9"
		c.Identity.Federation.TrustedDashboards = []string{dashboard}
		c.Identity.Federation.Providers = []config.FederationProvider{{IdentityProvider: "idp", Protocol: "saml2", Metadata: file}}
	}
}
