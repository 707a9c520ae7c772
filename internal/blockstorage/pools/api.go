package pools

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleServices     = "volume_extension:services:index"
	ruleSwitch       = "volume_extension:services:update"
	rulePools        = "scheduler_extension:scheduler_stats:get_pools"
	ruleHosts        = "volume_extension:hosts"
	ruleCapabilities = "volume_extension:capabilities"
	ruleZones        = "volume:availability_zone_list"
	ruleExtensions   = "volume:extensions"
	ruleFilters      = "volume:resource_filters"
	ruleFreeze       = "volume:freeze_host"
	ruleThaw         = "volume:thaw_host"
	ruleFailover     = "volume:failover_host"
	ruleCluster      = "clusters:get"
	ruleClusters     = "clusters:get_all"
	ruleClusterSet   = "clusters:update"
	ruleCleanup      = "workers:cleanup"
)

// Rules are the policy rules of this package; those that anybody has have no name upstream.
func Rules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleServices, Check: policy.Admin, Description: "List services."},
		{Name: ruleSwitch, Check: policy.Admin, Description: "Open and close hosts for new volumes."},
		{Name: rulePools, Check: policy.Admin, Description: "List back-end pools."},
		{Name: ruleHosts, Check: policy.Admin, Description: "List hosts."},
		{Name: ruleCapabilities, Check: policy.Admin, Description: "Show what a back end can do."},
		{Name: ruleFreeze, Check: policy.Admin, Description: "Keep new volumes from a host."},
		{Name: ruleThaw, Check: policy.Admin, Description: "Let new volumes come to a frozen host again."},
		{Name: ruleFailover, Check: policy.Admin, Description: "Fail a replicated host over."},
		{Name: ruleCluster, Check: policy.Admin, Description: "Show a cluster."},
		{Name: ruleClusters, Check: policy.Admin, Description: "List clusters."},
		{Name: ruleClusterSet, Check: policy.Admin, Description: "Open and close clusters."},
		{Name: ruleCleanup, Check: policy.Admin, Description: "Clean up after services that died."},
		{Name: ruleZones, Check: policy.Any, Description: "List availability zones."},
		{Name: ruleExtensions, Check: policy.Any, Description: "List extensions."},
		{Name: ruleFilters, Check: policy.Any, Description: "List filters."},
	}
}

// Pool is a host that keeps volumes.
type Pool struct {
	Host        string
	Alive       bool
	TotalGiB    int64
	PromisedGiB int64
	Overcommit  int64
	Vendor      string
	Protocol    string
}

// Lister lists pools.
type Lister interface {
	Pools(ctx context.Context) ([]Pool, error)
	// KeptBy counts volumes, their GiB, snapshots and their GiB on a host.
	KeptBy(ctx context.Context, host string) ([4]int64, error)
	// Offers tells whether hosts offer what a volume type asks for. NotFound of the type.
	Offers(ctx context.Context, volumeType string) (bool, error)
}

// API serves what is known of hosts.
type API struct {
	pools  Lister
	clock  clock.Clock
	server string // name of the host that runs the server
	doors  *Doors
	level  Leveler
}

// Leveler holds how much the server logs.
type Leveler interface {
	// Level is the level now: "DEBUG", "INFO", "WARNING", "ERROR".
	Level() string
	// SetLevel changes it. Invalid for a word that is no level.
	SetLevel(word string) error
}

// New makes the API.
func New(l Lister, c clock.Clock, server string, d *Doors, level Leveler) *API {
	return &API{l, c, server, d, level}
}

// Routes are the operations of this package.
func (a *API) Routes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/os-services", Rule: ruleServices, Handle: a.services},
		{Method: "PUT", Path: "/v3/os-services/enable", Rule: ruleSwitch, Audit: "enable", Handle: a.switchService(true, false)},
		{Method: "PUT", Path: "/v3/os-services/disable", Rule: ruleSwitch, Audit: "disable", Handle: a.switchService(false, false)},
		{Method: "PUT", Path: "/v3/os-services/disable-log-reason", Rule: ruleSwitch, Audit: "disable", Handle: a.switchService(false, true)},
		{Method: "PUT", Path: "/v3/os-services/freeze", Rule: ruleFreeze, Audit: "freeze", Handle: a.freeze(true)},
		{Method: "PUT", Path: "/v3/os-services/thaw", Rule: ruleThaw, Audit: "thaw", Handle: a.freeze(false)},
		{Method: "PUT", Path: "/v3/os-services/failover_host", Rule: ruleFailover, Audit: "failover", Handle: a.failover},
		{Method: "PUT", Path: "/v3/os-services/failover", Rule: ruleFailover, Audit: "failover", Since: blockstorage.ReplicationCluster, Handle: a.failover},
		{Method: "PUT", Path: "/v3/os-services/get-log", Rule: ruleSwitch, Audit: "get-log", Since: blockstorage.LogLevels, Handle: a.getLog},
		{Method: "PUT", Path: "/v3/os-services/set-log", Rule: ruleSwitch, Audit: "set-log", Since: blockstorage.LogLevels, Handle: a.setLog},
		{Method: "GET", Path: "/v3/clusters", Rule: ruleClusters, Since: blockstorage.Clusters, Handle: a.clusters},
		{Method: "GET", Path: "/v3/clusters/detail", Rule: ruleClusters, Since: blockstorage.Clusters, Handle: a.clusters},
		{Method: "GET", Path: "/v3/clusters/{name}", Rule: ruleCluster, Since: blockstorage.Clusters, Handle: a.cluster},
		{Method: "PUT", Path: "/v3/clusters/enable", Rule: ruleClusterSet, Audit: "enable", Since: blockstorage.Clusters, Handle: a.switchCluster},
		{Method: "PUT", Path: "/v3/clusters/disable", Rule: ruleClusterSet, Audit: "disable", Since: blockstorage.Clusters, Handle: a.switchCluster},
		{Method: "POST", Path: "/v3/workers/cleanup", Rule: ruleCleanup, Audit: "cleanup", Since: blockstorage.WorkersCleanup, Handle: a.cleanup},
		{Method: "PUT", Path: "/v3/os-hosts/{host}", Rule: ruleHosts, Audit: "update", Handle: a.setHost},
		{Method: "GET", Path: "/v3/scheduler-stats/get_pools", Rule: rulePools, Handle: a.list},
		{Method: "GET", Path: "/v3/os-hosts", Rule: ruleHosts, Handle: a.hosts},
		{Method: "GET", Path: "/v3/os-hosts/{host}", Rule: ruleHosts, Handle: a.host},
		{Method: "GET", Path: "/v3/capabilities/{host}", Rule: ruleCapabilities, Handle: a.capabilities},
		{Method: "GET", Path: "/v3/os-availability-zone", Rule: ruleZones, Handle: a.zones},
		{Method: "GET", Path: "/v3/extensions", Rule: ruleExtensions, Handle: a.extensions},
		{Method: "GET", Path: "/v3/resource_filters", Rule: ruleFilters, Since: blockstorage.ResourceFilters, Handle: a.filters},
	}
}

func word(up bool, yes, no string) string {
	if up {
		return yes
	}
	return no
}

func name(p Pool) string { return p.Host + "@mek#mek" }

func (a *API) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.CheckFilters(c, "pool"); err != nil {
		return rest.Reply{}, err
	}
	pools, err := a.pools.Pools(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	detail, _ := rest.ParseBool(c.Values().Get("detail"))
	if word := c.Values().Get("volume_type"); word != "" && c.At(blockstorage.PoolsOfType) {
		fits, err := a.pools.Offers(c.Context(), word)
		if err != nil {
			return rest.Reply{}, err
		}
		if !fits {
			pools = nil
		}
	}
	out := []map[string]any{}
	for _, p := range pools {
		if want := c.Values().Get("name"); want != "" && c.At(blockstorage.PoolFilters) && want != name(p) {
			continue
		}
		view := map[string]any{"name": name(p)}
		if detail {
			view["capabilities"] = a.facts(p)
		}
		out = append(out, view)
	}
	return rest.OK(map[string]any{"pools": out})
}

func (a *API) facts(p Pool) map[string]any {
	return map[string]any{"pool_name": "mek", "volume_backend_name": "mek", "vendor_name": p.Vendor, "driver_version": "1.0", "storage_protocol": p.Protocol,
		"total_capacity_gb": p.TotalGiB, "free_capacity_gb": max(0, p.TotalGiB-p.PromisedGiB), "allocated_capacity_gb": p.PromisedGiB,
		"provisioned_capacity_gb": p.PromisedGiB, "max_over_subscription_ratio": p.Overcommit, "reserved_percentage": 0, "thin_provisioning_support": true,
		"thick_provisioning_support": false, "multiattach": true, "QoS_support": false, "location_info": "", "timestamp": blockstorage.TimeSeconds(a.clock.Now()),
		"backend_state": word(p.Alive, "up", "down")}
}

func (a *API) hosts(c *rest.Call) (rest.Reply, error) {
	pools, err := a.pools.Pools(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	doors, err := a.doors.all(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	row := func(host, service string, alive bool, d door) map[string]any {
		return map[string]any{"host_name": host, "service": service, "zone": blockstorage.Zone, "service-status": word(alive, "available", "unavailable"),
			"service-state": word(!d.Disabled, "enabled", "disabled"), "last-update": blockstorage.TimeSeconds(a.clock.Now())}
	}
	out := []map[string]any{row(a.server, binaryScheduler, true, door{}), row(a.server, binaryBackup, true, door{})}
	for _, p := range pools {
		out = append(out, row(p.Host+"@mek", binaryVolume, p.Alive, doors[p.Host]))
	}
	return rest.OK(map[string]any{"hosts": out})
}

// host shows what a host keeps, for all projects together.
func (a *API) host(c *rest.Call) (rest.Reply, error) {
	name, _, _ := strings.Cut(c.Var("host"), "@")
	pools, err := a.pools.Pools(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	for _, p := range pools {
		if p.Host != name {
			continue
		}
		n, err := a.pools.KeptBy(c.Context(), name)
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"host": []any{map[string]any{"resource": map[string]string{"host": c.Var("host"), "project": "(total)",
			"volume_count": strconv.FormatInt(n[0], 10), "total_volume_gb": strconv.FormatInt(n[1], 10),
			"snapshot_count": strconv.FormatInt(n[2], 10), "total_snapshot_gb": strconv.FormatInt(n[3], 10)}}}})
	}
	return rest.Reply{}, fault.NotFoundf("Host %s could not be found.", c.Var("host"))
}

func (a *API) capabilities(c *rest.Call) (rest.Reply, error) {
	pools, err := a.pools.Pools(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	for _, p := range pools {
		if host, _, _ := strings.Cut(c.Var("host"), "#"); host == p.Host+"@mek" || host == p.Host {
			return rest.OK(map[string]any{"namespace": "OS::Storage::Capabilities::" + p.Host + "@mek", "vendor_name": p.Vendor, "volume_backend_name": "mek",
				"pool_name": nil, "driver_version": "1.0", "storage_protocol": p.Protocol, "display_name": nil, "description": nil, "visibility": nil,
				"replication_targets": []any{}, "properties": map[string]any{}})
		}
	}
	return rest.Reply{}, fault.NotFoundf("Service could not be found on host %s.", c.Var("host"))
}

func (a *API) zones(*rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"availabilityZoneInfo": []any{map[string]any{"zoneName": blockstorage.Zone, "zoneState": map[string]bool{"available": true}}}})
}

// aliases are the extensions of which something is built.
var aliases = []string{"OS-SCH-HNT", "backups", "capabilities", "cgsnapshots", "consistencygroups", "encryption", "os-admin-actions", "os-availability-zone",
	"os-extended-services", "os-extended-snapshot-attributes", "os-hosts", "os-quota-class-sets", "os-quota-sets", "os-services", "os-snapshot-actions",
	"os-snapshot-manage", "os-snapshot-unmanage", "os-types-extra-specs", "os-types-manage", "os-used-limits", "os-vol-host-attr", "os-vol-image-meta",
	"os-vol-mig-status-attr", "os-vol-tenant-attr", "os-volume-actions", "os-volume-encryption-metadata", "os-volume-manage", "os-volume-transfer",
	"os-volume-type-access", "os-volume-unmanage", "qos-specs", "scheduler-stats"}

func (a *API) extensions(*rest.Call) (rest.Reply, error) {
	out := make([]any, 0, len(aliases))
	for _, alias := range aliases {
		out = append(out, map[string]any{"name": alias, "alias": alias, "description": "", "links": []any{}, "updated": "2014-12-03T00:00:00+00:00"})
	}
	return rest.OK(map[string]any{"extensions": out})
}

func (a *API) filters(c *rest.Call) (rest.Reply, error) {
	want := c.Values().Get("resource")
	if want != "" && wire.Filters[want] == nil {
		return rest.Reply{}, fault.Invalidf("Invalid filter resource: %s", want)
	}
	out := []any{}
	for _, resource := range slices.Sorted(maps.Keys(wire.Filters)) {
		if want == "" || want == resource {
			out = append(out, map[string]any{"resource": resource, "filters": wire.Filters[resource]})
		}
	}
	return rest.OK(map[string]any{"resource_filters": out})
}
