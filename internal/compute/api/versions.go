package computeapi

import (
	"cmp"
	"net/http"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const ruleExtensions = "os_compute_api:extensions"

func rules() []policy.Rule {
	return []policy.Rule{{Name: "service_or_admin", Check: "rule:service_api or rule:context_is_admin", Description: "Other services, and administrators."},
		{Name: ruleExtensions, Check: policy.Any, Scopes: []string{"project"}, Description: "List extensions."}}
}

func versionRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/", Open: true, Handle: allVersions},
		{Method: "GET", Path: "/v2.1", Open: true, Handle: oneVersion},
		{Method: "GET", Path: "/v2", Open: true, Handle: oldVersion},
		{Method: "GET", Path: "/v2.1/extensions", Rule: ruleExtensions, Handle: extensions},
		{Method: "GET", Path: "/v2.1/extensions/{alias}", Rule: ruleExtensions, Handle: extension},
	}
}

func document(c *rest.Call) map[string]any {
	return map[string]any{"id": "v2.1", "status": "CURRENT", "version": compute.MaxVersion.String(), "min_version": compute.MinVersion.String(),
		"updated": "2013-07-23T11:33:21Z", "links": []map[string]string{{"rel": "self", "href": c.Link("/v2.1/")}}}
}

// oldDocument tells of the API before microversions, which clients look for
// first. Its operations are those of v2.1 without microversions (Dialect.Base).
func oldDocument(c *rest.Call) map[string]any {
	return map[string]any{"id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z",
		"links": []map[string]string{{"rel": "self", "href": c.Link("/v2/")}}}
}

func allVersions(c *rest.Call) (rest.Reply, error) {
	return rest.Answer(http.StatusOK, map[string]any{"versions": []any{oldDocument(c), document(c)}})
}

func oneVersion(c *rest.Call) (rest.Reply, error) { return whole(document(c), "2.1") }

func oldVersion(c *rest.Call) (rest.Reply, error) { return whole(oldDocument(c), "2") }

// whole is the answer about one version.
func whole(doc map[string]any, kind string) (rest.Reply, error) {
	doc["links"] = append(doc["links"].([]map[string]string),
		map[string]string{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
	doc["media-types"] = []map[string]string{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=" + kind}}
	return rest.OK(map[string]any{"version": doc})
}

// aliases are the extensions that clients from before microversions look for.
var aliases = []string{"NMN", "OS-DCF", "OS-EXT-AZ", "OS-EXT-IMG-SIZE", "OS-EXT-IPS", "OS-EXT-IPS-MAC", "OS-EXT-SRV-ATTR", "OS-EXT-STS", "OS-FLV-DISABLED",
	"OS-FLV-EXT-DATA", "OS-SCH-HNT", "OS-SRV-USG", "os-access-ips", "os-admin-actions", "os-admin-password", "os-agents", "os-aggregates",
	"os-assisted-volume-snapshots", "os-attach-interfaces", "os-availability-zone", "os-block-device-mapping", "os-block-device-mapping-v2-boot", "os-config-drive",
	"os-console-output", "os-consoles", "os-create-backup", "os-deferred-delete", "os-evacuate", "os-extended-availability-zone", "os-extended-server-attributes",
	"os-extended-status", "os-extended-volumes", "os-flavor-access", "os-floating-ip-pools", "os-floating-ips", "os-hosts",
	"os-instance-usage-audit-log", "os-migrations", "os-networks", "os-tenant-networks", "os-flavor-extra-specs", "os-flavor-manage", "os-hypervisors", "os-instance-actions",
	"os-keypairs", "os-lock-server", "os-migrate-server", "os-multinic", "os-multiple-create", "os-pause-server", "os-quota-class-sets", "os-quota-sets",
	"os-remote-consoles", "os-rescue", "os-scheduler-hints", "os-security-groups", "os-server-diagnostics", "os-server-external-events", "os-server-groups",
	"os-server-password", "os-server-usage", "os-services", "os-shelve", "os-simple-tenant-usage", "os-suspend-server", "os-used-limits", "os-user-data",
	"os-volume-attachment-update", "os-volumes", "flavors", "image-metadata", "images", "ips", "limits", "server-metadata", "servers", "versions"}

// aliasNames are names that clients look for where they differ from the alias.
var aliasNames = map[string]string{"os-hosts": "Hosts", "os-migrations": "Migrations", "os-networks": "Networks"}

func aliasBody(alias string) map[string]any {
	return map[string]any{"name": cmp.Or(aliasNames[alias], alias), "alias": alias, "description": "", "links": []any{}, "updated": "2014-12-03T00:00:00Z",
		"namespace": "http://docs.openstack.org/compute/ext/fake_xml"}
}

func extensions(*rest.Call) (rest.Reply, error) {
	out := make([]any, 0, len(aliases))
	for _, a := range aliases {
		out = append(out, aliasBody(a))
	}
	return rest.OK(map[string]any{"extensions": out})
}

func extension(c *rest.Call) (rest.Reply, error) {
	for _, a := range aliases {
		if a == c.Var("alias") {
			return rest.OK(map[string]any{"extension": aliasBody(a)})
		}
	}
	return rest.Reply{}, fault.NotFoundf("The resource could not be found.")
}
