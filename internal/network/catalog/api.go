package catalog

import (
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Host is a host that carries networks.
type Host struct {
	ID, Name, Zone string
	Alive          bool
	Joined, Seen   time.Time
}

// Service is the catalog behind the API.
type Service struct {
	records *records.Records
	hosts   func() []Host
	forget  func(name string)
}

// New makes the service; hosts lists those of the cloud, forget takes one that
// is gone off the list.
func New(r *records.Records, hosts func() []Host, forget func(name string)) *Service {
	return &Service{r, hosts, forget}
}

// Rules are the policy rules of the catalog.
func Rules() []policy.Rule {
	out := wire.Rules(wire.Reader, "get_floatingip_pool")
	out = append(out, wire.Rules(policy.Any, "list_operations", "get_extension")...)
	out = append(out, wire.Rules("role:reader", "get_availability_zone", "get_service_provider")...)
	out = append(out, wire.Rules(wire.Service, "get_network_ip_availability")...)
	return append(out, wire.Rules(wire.Admin, "get_agent", "update_agent", "delete_agent")...)
}

// Routes are the operations of the catalog.
func (s *Service) Routes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/", Open: true, Handle: versions},
		{Method: "GET", Path: "/v2.0", Open: true, Handle: resources},
		{Method: "GET", Path: "/v2.0/extensions", Rule: "get_extension", Handle: listExtensions},
		{Method: "GET", Path: "/v2.0/extensions/{alias}", Rule: "get_extension", Handle: showExtension},
		{Method: "GET", Path: "/v2.0/agents", Rule: "list_operations", Handle: s.agents},
		{Method: "GET", Path: "/v2.0/agents/{id}", Rule: "get_agent", Handle: s.agent},
		{Method: "GET", Path: "/v2.0/availability_zones", Rule: "get_availability_zone", Handle: s.zones},
		{Method: "GET", Path: "/v2.0/service-providers", Rule: "get_service_provider", Handle: providers},
		{Method: "GET", Path: "/v2.0/floatingip_pools", Rule: "get_floatingip_pool", Handle: s.pools},
		{Method: "PUT", Path: "/v2.0/agents/{id}", Rule: "update_agent", Audit: "update", Handle: s.updateAgent},
		{Method: "DELETE", Path: "/v2.0/agents/{id}", Rule: "delete_agent", Audit: "delete", Handle: s.deleteAgent},
		{Method: "GET", Path: "/v2.0/network-ip-availabilities", Rule: "list_operations", Handle: s.usages},
		{Method: "GET", Path: "/v2.0/network-ip-availabilities/{id}", Rule: "get_network_ip_availability", Handle: s.usage},
	}
}

func versions(c *rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"versions": []any{map[string]any{"id": "v2.0", "status": "CURRENT",
		"links": []any{map[string]string{"rel": "self", "href": c.Link("/v2.0/")}}}}})
}

func resources(c *rest.Call) (rest.Reply, error) {
	out := []any{}
	for _, r := range [][2]string{{"network", "networks"}, {"subnet", "subnets"}, {"port", "ports"}, {"router", "routers"}, {"floatingip", "floatingips"}} {
		out = append(out, map[string]any{"name": r[0], "collection": r[1], "links": []any{map[string]string{"rel": "self", "href": c.Link("/v2.0/" + r[1])}}})
	}
	return rest.OK(map[string]any{"resources": out})
}

func extensionView(e extension) map[string]any {
	return map[string]any{"alias": e.alias, "name": e.name, "description": e.name + ".", "updated": "2012-01-01T10:00:00-00:00", "links": []any{}}
}

func listExtensions(*rest.Call) (rest.Reply, error) {
	out := []any{}
	for _, e := range extensions {
		out = append(out, extensionView(e))
	}
	return rest.OK(map[string]any{"extensions": out})
}

func showExtension(c *rest.Call) (rest.Reply, error) {
	for _, e := range extensions {
		if e.alias == c.Var("alias") {
			return rest.OK(map[string]any{"extension": extensionView(e)})
		}
	}
	return rest.Reply{}, fault.NotFoundf("Extension with alias %s does not exist", c.Var("alias")).With("ExtensionNotFound")
}

func agentView(h Host) map[string]any {
	blank := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
	return map[string]any{"id": h.ID, "agent_type": "OVN Controller agent", "binary": "ovn-controller", "host": h.Name, "topic": "n/a", "alive": h.Alive,
		"admin_state_up": true, "availability_zone": h.Zone, "description": "", "configurations": map[string]any{}, "resources_synced": nil,
		"created_at": blank(h.Joined), "started_at": blank(h.Joined), "heartbeat_timestamp": blank(h.Seen)}
}

func (s *Service) agents(c *rest.Call) (rest.Reply, error) {
	out := []any{}
	if !c.Allow("get_agent", c.Caller()) { // a list of what the caller may not see is empty
		return rest.OK(map[string]any{"agents": out})
	}
	for _, h := range s.hosts() {
		if host := c.Values().Get("host"); host != "" && host != h.Name {
			continue
		}
		if kind := c.Values().Get("agent_type"); kind != "" && kind != "OVN Controller agent" {
			continue
		}
		out = append(out, agentView(h))
	}
	return rest.OK(map[string]any{"agents": out})
}

func (s *Service) agent(c *rest.Call) (rest.Reply, error) {
	h, err := s.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"agent": agentView(h)})
}

func (s *Service) find(c *rest.Call) (Host, error) {
	for _, h := range s.hosts() {
		if h.ID == c.Var("id") {
			return h, nil
		}
	}
	return Host{}, fault.NotFoundf("Agent %s could not be found.", c.Var("id")).With("AgentNotFound")
}

// updateAgent accepts what changes nothing: a host's share of OVN has no state
// of its own to set.
func (s *Service) updateAgent(c *rest.Call) (rest.Reply, error) {
	h, err := s.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Agent struct {
			AdminStateUp *rest.Bool       `json:"admin_state_up"`
			Description  rest.Opt[string] `json:"description"`
		} `json:"agent" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if up := in.Agent.AdminStateUp; up != nil && !bool(*up) || in.Agent.Description.Or("") != "" {
		return rest.Reply{}, fault.Invalidf("Bad agent request: OVN agent status cannot be updated.").With("BadRequest")
	}
	return rest.OK(map[string]any{"agent": agentView(h)})
}

func (s *Service) deleteAgent(c *rest.Call) (rest.Reply, error) {
	h, err := s.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if h.Alive {
		return rest.Reply{}, fault.Conflictf("OVN agent %s is alive and cannot be deleted.", h.ID).With("AgentInUse")
	}
	s.forget(h.Name)
	return rest.NoContent()
}

// pools lists where floating addresses come from.
func (s *Service) pools(c *rest.Call) (rest.Reply, error) {
	networks, err := s.records.Networks.Where(c.Context(), s.records.DB, records.Is("external", true))
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	for _, n := range networks {
		if !c.Allow("get_network", wire.NetworkTarget(c, n)) {
			continue
		}
		subnets, err := s.records.SubnetsOf(c.Context(), s.records.DB, n.ID)
		if err != nil {
			return rest.Reply{}, err
		}
		for _, sub := range subnets {
			if sub.IPVersion == 4 {
				out = append(out, map[string]any{"subnet_id": sub.ID, "subnet_name": sub.Name, "tenant_id": sub.ProjectID, "project_id": sub.ProjectID,
					"network_id": n.ID, "cidr": sub.CIDR.String()})
			}
		}
	}
	return rest.OK(map[string]any{"floatingip_pools": out})
}

func (s *Service) zones(*rest.Call) (rest.Reply, error) {
	out, seen := []any{}, map[string]bool{}
	for _, h := range s.hosts() {
		if h.Zone == "" || seen[h.Zone] {
			continue
		}
		seen[h.Zone] = true
		for _, kind := range []string{"network", "router"} {
			out = append(out, map[string]string{"name": h.Zone, "resource": kind, "state": "available"})
		}
	}
	return rest.OK(map[string]any{"availability_zones": out})
}

func providers(*rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"service_providers": []any{}})
}
