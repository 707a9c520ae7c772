package proxies

import (
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleNetworks = "os_compute_api:os-networks:"
	ruleTenant   = "os_compute_api:os-tenant-networks:"
	rulePools    = "os_compute_api:os-floating-ip-pools"
	ruleFloating = "os_compute_api:os-floating-ips:"
)

// NetworkRules are the policy rules of the proxies to networks.
func NetworkRules() []policy.Rule {
	var out []policy.Rule
	add := func(check string, names ...string) {
		for _, n := range names {
			out = append(out, policy.Rule{Name: n, Check: check, Scopes: []string{"project"}, Description: "Networks and floating addresses, by way of Nova."})
		}
	}
	add(policy.ProjectReaderOrAdmin, ruleNetworks+"list", ruleNetworks+"show", ruleTenant+"list", ruleTenant+"show", ruleFloating+"list", ruleFloating+"show")
	add(policy.Any, rulePools)
	add(policy.ProjectMemberOrAdmin, ruleFloating+"create", ruleFloating+"delete")
	return out
}

// NetworkRoutes are the operations of networks and floating addresses, until 2.36.
func (n *Networks) NetworkRoutes() []rest.Route {
	a := api{networks: n}
	out := []rest.Route{
		{Method: "GET", Path: "/v2.1/os-networks", Rule: ruleNetworks + "list", Handle: a.listNetworks(wholeNetwork)},
		{Method: "GET", Path: "/v2.1/os-networks/{id}", Rule: ruleNetworks + "show", Handle: a.showNetwork(wholeNetwork)},
		{Method: "GET", Path: "/v2.1/os-tenant-networks", Rule: ruleTenant + "list", Handle: a.listNetworks(shortNetwork)},
		{Method: "GET", Path: "/v2.1/os-tenant-networks/{id}", Rule: ruleTenant + "show", Handle: a.showNetwork(shortNetwork)},
		{Method: "GET", Path: "/v2.1/os-floating-ip-pools", Rule: rulePools, Handle: a.pools},
		{Method: "GET", Path: "/v2.1/os-floating-ips", Rule: ruleFloating + "list", Handle: a.floatingIPs},
		{Method: "POST", Path: "/v2.1/os-floating-ips", Rule: ruleFloating + "create", Audit: "create", Handle: a.allocate},
		{Method: "GET", Path: "/v2.1/os-floating-ips/{id}", Rule: ruleFloating + "show", Handle: a.floatingIP},
		{Method: "DELETE", Path: "/v2.1/os-floating-ips/{id}", Rule: ruleFloating + "delete", Audit: "delete", Handle: a.deallocate},
	}
	for i := range out {
		out[i].Until = compute.NoProxies
	}
	return out
}

type network struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// wholeNetwork is what is left of thirty members that nova-network had.
func wholeNetwork(c *rest.Call, n network) map[string]any {
	out := map[string]any{}
	fields := []string{"cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6"}
	if c.Auth.HasRole("admin") {
		fields = append(fields, "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address", "vpn_public_port",
			"vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu", "dhcp_server",
			"enable_dhcp", "share_address")
	}
	for _, f := range fields {
		out[f] = nil
	}
	out["id"], out["label"] = n.ID, n.Name
	return out
}

func shortNetwork(_ *rest.Call, n network) map[string]any {
	return map[string]any{"id": n.ID, "cidr": "None", "label": n.Name}
}

func (a api) listNetworks(view func(*rest.Call, network) map[string]any) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var found struct {
			Networks []network `json:"networks"`
		}
		if err := a.networks.do(c.Context(), token(c), http.MethodGet, "/networks", nil, nil, &found); err != nil {
			return rest.Reply{}, err
		}
		out := []map[string]any{}
		for _, n := range found.Networks {
			out = append(out, view(c, n))
		}
		return rest.OK(map[string]any{"networks": out})
	}
}

func (a api) showNetwork(view func(*rest.Call, network) map[string]any) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var found struct {
			Network network `json:"network"`
		}
		err := a.networks.do(c.Context(), token(c), http.MethodGet, "/networks/"+url.PathEscape(c.Var("id")), nil, nil, &found)
		if fault.Is(err, fault.NotFound) {
			err = fault.NotFoundf("Network not found")
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"network": view(c, found.Network)})
	}
}

// outside lists the networks that floating addresses come from.
func (a api) outside(c *rest.Call) ([]network, error) {
	var found struct {
		Networks []network `json:"networks"`
	}
	return found.Networks, a.networks.do(c.Context(), token(c), http.MethodGet, "/networks", url.Values{"router:external": {"true"}}, nil, &found)
}

func (a api) pools(c *rest.Call) (rest.Reply, error) {
	found, err := a.outside(c)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]string{}
	for _, n := range found {
		out = append(out, map[string]string{"name": n.Name})
	}
	return rest.OK(map[string]any{"floating_ip_pools": out})
}

// address is a floating address as Neutron shows it, whole.
type address struct {
	ID        string  `json:"id"`
	Address   string  `json:"floating_ip_address"`
	Fixed     *string `json:"fixed_ip_address"`
	PortID    *string `json:"port_id"`
	NetworkID string  `json:"floating_network_id"`
	Port      *struct {
		DeviceID string `json:"device_id"`
	} `json:"port_details"`
}

func addressView(f address, outside []network) map[string]any {
	out := map[string]any{"id": f.ID, "ip": f.Address, "fixed_ip": f.Fixed, "pool": nil, "instance_id": nil}
	for _, n := range outside {
		if n.ID == f.NetworkID {
			out["pool"] = n.Name
		}
	}
	if f.Port != nil && f.Port.DeviceID != "" {
		out["instance_id"] = f.Port.DeviceID
	}
	return out
}

func (a api) floatingIPs(c *rest.Call) (rest.Reply, error) {
	var found struct {
		List []address `json:"floatingips"`
	}
	outside, err := a.outside(c)
	if err == nil {
		err = a.networks.do(c.Context(), token(c), http.MethodGet, "/floatingips", url.Values{"project_id": {c.Auth.ProjectID}}, nil, &found)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, f := range found.List {
		out = append(out, addressView(f, outside))
	}
	return rest.OK(map[string]any{"floating_ips": out})
}

func (a api) floatingIP(c *rest.Call) (rest.Reply, error) {
	var found struct {
		IP address `json:"floatingip"`
	}
	outside, err := a.outside(c)
	if err == nil {
		err = a.networks.do(c.Context(), token(c), http.MethodGet, "/floatingips/"+url.PathEscape(c.Var("id")), nil, nil, &found)
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Floating IP not found for ID %s", c.Var("id"))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"floating_ip": addressView(found.IP, outside)})
}

func (a api) allocate(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Pool rest.Opt[string] `json:"pool"`
	}
	if body := string(c.Payload()); body != "" && body != "null" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	outside, err := a.outside(c)
	if err != nil {
		return rest.Reply{}, err
	}
	from := ""
	for _, n := range outside {
		if in.Pool.V == "" || in.Pool.V == n.Name || in.Pool.V == n.ID {
			from = n.ID
			break
		}
	}
	if from == "" {
		return rest.Reply{}, fault.NotFoundf("Floating IP pool not found.")
	}
	var made struct {
		IP address `json:"floatingip"`
	}
	err = a.networks.do(c.Context(), token(c), http.MethodPost, "/floatingips", nil, map[string]any{"floatingip": map[string]any{"floating_network_id": from}}, &made)
	if fault.Is(err, fault.Conflict) { // over quota, or no address is left
		err = fault.Forbiddenf("%s", fault.As(err).Text)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"floating_ip": addressView(made.IP, outside)})
}

func (a api) deallocate(c *rest.Call) (rest.Reply, error) {
	err := a.networks.do(c.Context(), token(c), http.MethodDelete, "/floatingips/"+url.PathEscape(c.Var("id")), nil, nil, nil)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Floating IP not found for ID %s", c.Var("id"))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
