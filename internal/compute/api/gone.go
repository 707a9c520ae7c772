package computeapi

import (
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// gone are operations of parts of Nova that no longer exist upstream either:
// they answer 410 at every version.
var gone = []string{
	"GET /os-certificates/{id}", "GET /os-certificates/root", "POST /os-certificates",
	"GET /os-cloudpipe", "POST /os-cloudpipe", "PUT /os-cloudpipe/{id}", "PUT /os-cloudpipe/configure-project",
	"GET /os-fping", "GET /os-fping/{id}", "GET /servers/{id}/os-virtual-interfaces",
	"GET /os-fixed-ips/{id}", "POST /os-fixed-ips/{id}/action",
	"GET /os-floating-ips-bulk", "POST /os-floating-ips-bulk", "GET /os-floating-ips-bulk/{id}", "PUT /os-floating-ips-bulk/{id}", "PUT /os-floating-ips-bulk/delete",
	"GET /os-floating-ip-dns", "PUT /os-floating-ip-dns/{id}", "DELETE /os-floating-ip-dns/{id}",
	"GET /os-floating-ip-dns/{id}/entries/{entry}", "PUT /os-floating-ip-dns/{id}/entries/{entry}", "DELETE /os-floating-ip-dns/{id}/entries/{entry}",
	"GET /os-cells", "POST /os-cells", "GET /os-cells/{id}", "PUT /os-cells/{id}", "DELETE /os-cells/{id}", "GET /os-cells/{id}/capacities",
	"POST /os-cells/{id}",
	"GET /servers/{id}/consoles", "POST /servers/{id}/consoles", "GET /servers/{id}/consoles/{console}", "DELETE /servers/{id}/consoles/{console}",
	"GET /os-security-group-default-rules", "POST /os-security-group-default-rules",
	"GET /os-security-group-default-rules/{id}", "DELETE /os-security-group-default-rules/{id}",
	"GET /os-agents", "POST /os-agents", "PUT /os-agents/{id}", "DELETE /os-agents/{id}",
	"POST /os-networks", "POST /os-networks/add", "DELETE /os-networks/{id}", "POST /os-networks/{id}/action",
	"POST /os-tenant-networks", "DELETE /os-tenant-networks/{id}",
}

func goneRoutes() []rest.Route {
	var out []rest.Route
	for _, line := range gone {
		method, path, _ := strings.Cut(line, " ")
		r := rest.Route{Method: method, Path: "/v2.1" + path, Rule: ruleExtensions, Handle: isGone}
		if method != "GET" {
			r.Audit = "refuse" // nothing happens, and nothing is recorded
		}
		out = append(out, r)
	}
	return out
}

func isGone(*rest.Call) (rest.Reply, error) {
	return rest.Reply{}, fault.New(fault.Gone, "This resource is no longer available. No forwarding address is given.")
}
