package security

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// forged are the headers by which services behind OpenStack's middleware know
// who asks.
func forged(project string) []string {
	pairs := []string{"X-Identity-Status", "Confirmed", "X-Roles", "admin,service", "X-Role", "admin", "X-User-Id", "admin", "X-User-Name", "admin",
		"X-User", "admin", "X-Project-Id", project, "X-Project-Name", "admin", "X-Tenant-Id", project, "X-Tenant-Name", "admin", "X-Tenant", project,
		"X-User-Domain-Id", "default", "X-Domain-Id", "default", "X-Is-Admin-Project", "True", "X-Service-Roles", "service,admin", "X-Service-User-Id", "nova",
		"X-Service-Identity-Status", "Confirmed", "OpenStack-System-Scope", "all", "X-Instance-Id", "1", "X-Forwarded-For", "169.254.169.254", "X-Real-Ip", "127.0.0.1",
		"X-Remote-User", "admin", "Remote-User", "admin", "X-Token-Info", "{}"}
	for i := 0; i < len(pairs)-1; i += 2 { // as a browser, as WSGI and as nobody writes them
		pairs = append(pairs, strings.ReplaceAll(pairs[i], "-", "_"), pairs[i+1], strings.ToUpper(pairs[i]), pairs[i+1])
		if i > 60 {
			break
		}
	}
	return pairs
}

// TestForgedIdentity (SEC-14): what a client says of itself in headers changes
// no answer.
func TestForgedIdentity(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	headers := forged(cloud.Admin.ProjectID)
	bodiless := func(a *testcloud.Answer) string {
		return fmt.Sprint(a.Status, " ", strings.ReplaceAll(string(a.Body), a.Header.Get("X-Openstack-Request-Id"), "ID"))
	}
	for _, client := range []*testcloud.Client{cloud.Anonymous(), cloud.Demo} {
		for _, path := range []string{"/identity/v3/users", "/identity/v3/projects", "/compute/v2.1/servers/detail?all_tenants=1", "/compute/v2.1/os-hypervisors",
			"/compute/v2.1/flavors", "/volume/v3/types", "/volume/v3/os-services", "/networking/v2.0/networks", "/networking/v2.0/agents", "/image/v2/images",
			"/image/v2/tasks", "/placement/resource_providers", "/v1/AUTH_" + cloud.Admin.ProjectID, "/checks/objects"} {
			plain, forged := client.Get(path), client.Get(path, headers...)
			if bodiless(plain) != bodiless(forged) {
				t.Errorf("%s: %s\nwith forged headers: %s", path, bodiless(plain), bodiless(forged))
			}
		}
	}
	if a := cloud.Anonymous().Get("/metrics", "X-Forwarded-For", "127.0.0.1"); a.Status != http.StatusOK {
		t.Errorf("metrics from loopback: %d", a.Status)
	}
}
