package pools

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/rest"
)

// Every host keeps its own volumes: there are no clusters. The calls answer
// that truthfully.

var clusterFilters = []string{"name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts"}

var replicationFilters = []string{"replication_status", "frozen", "active_backend_id"}

func (a *API) clusters(c *rest.Call) (rest.Reply, error) {
	known := clusterFilters
	if c.At(blockstorage.ReplicationCluster) {
		known = slices.Concat(clusterFilters, replicationFilters)
	}
	for name, values := range c.Values() {
		if !slices.Contains(known, name) {
			return rest.Reply{}, fault.Invalidf("Invalid input received: Invalid filter keys: %s", name)
		}
		if _, ok := rest.ParseBool(values[0]); (name == "is_up" || name == "disabled") && !ok {
			return rest.Reply{}, fault.Invalidf("Invalid value for %s: %q is not a boolean", name, values[0])
		}
	}
	return rest.OK(map[string]any{"clusters": []any{}})
}

func noCluster(name string) error {
	return fault.NotFoundf("Cluster %s could not be found.", name).With("ClusterNotFound")
}

func (a *API) cluster(c *rest.Call) (rest.Reply, error) {
	return rest.Reply{}, noCluster(c.Var("name"))
}

func (a *API) switchCluster(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Name   string           `json:"name" v:"required,min=1,max=255"`
		Binary rest.Opt[string] `json:"binary" v:"max=255"`
		Reason rest.Opt[string] `json:"disabled_reason" v:"max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, noCluster(in.Name)
}

// cleanup lists who would clean up after servers and hosts that died. Nobody
// has to: unfinished work is resumed by itself.
func (a *API) cleanup(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Cluster  rest.Opt[string]    `json:"cluster_name" v:"max=255"`
		Disabled rest.Opt[rest.Bool] `json:"disabled"`
		Host     rest.Opt[string]    `json:"host" v:"max=255"`
		Up       rest.Opt[rest.Bool] `json:"is_up"`
		Binary   rest.Opt[string]    `json:"binary" v:"enum=cinder-volume|cinder-scheduler"`
		Resource rest.Opt[string]    `json:"resource_id"`
		Kind     rest.Opt[string]    `json:"resource_type" v:"max=255"`
		Service  rest.Opt[rest.Int]  `json:"service_id"`
	}
	if p := strings.TrimSpace(string(c.Payload())); p != "" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	if kind := strings.ToLower(in.Kind.V); kind != "" && kind != "volume" && kind != "snapshot" {
		return rest.Reply{}, fault.Invalidf("Invalid input received: Resource type %s not valid, must be Volume or Snapshot", in.Kind.V)
	}
	if r := in.Resource.V; r != "" {
		if !id.Valid(r) {
			return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute resource_id. Value: %s. it is not a 'uuid'", r)
		}
		if in.Host.V == "" && in.Cluster.V == "" && !in.Service.Set {
			return rest.Reply{}, fault.Invalidf("Invalid input received: There is no resource with UUID %s pending cleanup.", r)
		}
	}
	return rest.Accepted(map[string]any{"cleaning": []any{}, "unavailable": []any{}})
}

// setHost opens a host for new volumes or closes it, by the older call.
func (a *API) setHost(c *rest.Call) (rest.Reply, error) {
	host, err := a.volumeHost(c, "", c.Var("host"))
	if err != nil {
		return rest.Reply{}, fault.NotFoundf("Host %s could not be found.", c.Var("host")).With("HostNotFound")
	}
	var in map[string]string
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	open := true
	for key, value := range in {
		if strings.ToLower(strings.TrimSpace(key)) != "status" {
			return rest.Reply{}, fault.Invalidf("Invalid update setting: '%s'", key)
		}
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "enable":
		case "disable":
			open = false
		default:
			return rest.Reply{}, fault.Invalidf("Invalid status: '%s'", value)
		}
	}
	if len(in) == 0 {
		return rest.OK(map[string]any{})
	}
	if err := a.setDoor(c, host, func(d *door) error { d.Disabled, d.Reason = !open, ""; return nil }); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"host": c.Var("host"), "status": word(open, "enabled", "disabled")})
}
