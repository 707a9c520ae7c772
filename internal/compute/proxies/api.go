package proxies

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const rulePrefix = "os_compute_api:os-security-groups:"

// Rules are the policy rules of the proxies, with upstream's names and defaults.
func Rules() []policy.Rule {
	var out []policy.Rule
	for _, verb := range []string{"get", "show", "list"} {
		out = append(out, policy.Rule{Name: rulePrefix + verb, Check: policy.ProjectReaderOrAdmin, Scopes: []string{"project"}, Description: "Security groups: " + verb + "."})
	}
	for _, verb := range []string{"create", "update", "delete", "rule:create", "rule:delete", "add", "remove"} {
		out = append(out, policy.Rule{Name: rulePrefix + verb, Check: policy.ProjectMemberOrAdmin, Scopes: []string{"project"}, Description: "Security groups: " + verb + "."})
	}
	return out
}

// Find loads a server for a request and authorises the request's rule on it.
type Find func(c *rest.Call, serverID string) (*compute.Server, error)

type api struct {
	networks *Networks
	find     Find
}

// Routes are the operations of security groups, until 2.36.
func (n *Networks) Routes(find Find) []rest.Route {
	a := api{n, find}
	out := []rest.Route{
		{Method: "GET", Path: "/v2.1/os-security-groups", Rule: rulePrefix + "get", Handle: a.list},
		{Method: "POST", Path: "/v2.1/os-security-groups", Rule: rulePrefix + "create", Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.1/os-security-groups/{id}", Rule: rulePrefix + "show", Handle: a.show},
		{Method: "PUT", Path: "/v2.1/os-security-groups/{id}", Rule: rulePrefix + "update", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.1/os-security-groups/{id}", Rule: rulePrefix + "delete", Audit: "delete", Handle: a.remove},
		{Method: "POST", Path: "/v2.1/os-security-group-rules", Rule: rulePrefix + "rule:create", Audit: "create", Handle: a.createRule},
		{Method: "DELETE", Path: "/v2.1/os-security-group-rules/{id}", Rule: rulePrefix + "rule:delete", Audit: "delete", Handle: a.removeRule},
	}
	for i := range out {
		out[i].Until = compute.NoProxies
	}
	return append(out, rest.Route{Method: "GET", Path: "/v2.1/servers/{id}/os-security-groups", Rule: rulePrefix + "list", Object: true, Handle: a.ofServer})
}

// Actions give servers security groups and take them away.
func (n *Networks) Actions(find Find) map[string]rest.Action {
	a := api{n, find}
	return map[string]rest.Action{
		"addSecurityGroup":    {Rule: rulePrefix + "add", Handle: a.change},
		"removeSecurityGroup": {Rule: rulePrefix + "remove", Handle: a.change},
	}
}

func token(c *rest.Call) string { return c.Header.Get("X-Auth-Token") }

func (a api) list(c *rest.Call) (rest.Reply, error) {
	query := url.Values{"project_id": {c.Auth.ProjectID}}
	if all, _ := rest.ParseBool(c.Values().Get("all_tenants")); all && c.Auth.HasRole("admin") { // anything else is no
		query = nil
	}
	groups, err := a.networks.groups(c.Context(), token(c), query)
	if err != nil {
		return rest.Reply{}, err
	}
	out, names := []any{}, byID(groups)
	for _, g := range page(c, groups) {
		out = append(out, g.view(names))
	}
	return rest.OK(map[string]any{"security_groups": out})
}

// page cuts by offset and limit, as these lists alone do.
func page(c *rest.Call, groups []group) []group {
	cut := func(name string, otherwise int) int {
		n, err := strconv.Atoi(c.Values().Get(name))
		if err != nil || n < 0 {
			return otherwise
		}
		return n
	}
	groups = groups[min(cut("offset", 0), len(groups)):]
	return groups[:min(cut("limit", len(groups)), len(groups))]
}

func (a api) answer(c *rest.Call, g *group) (rest.Reply, error) {
	all, err := a.networks.groups(c.Context(), token(c), nil)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"security_group": g.view(byID(all))})
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	g, err := a.networks.group(c.Context(), token(c), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, g)
}

type groupBody struct {
	Group struct {
		Name        string           `json:"name" v:"required,min=1,max=255"`
		Description rest.Opt[string] `json:"description" v:"max=255"`
	} `json:"security_group" v:"required"`
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	return a.write(c, http.MethodPost, "/security-groups")
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	return a.write(c, http.MethodPut, "/security-groups/"+url.PathEscape(c.Var("id")))
}

func (a api) write(c *rest.Call, method, path string) (rest.Reply, error) {
	var in groupBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	var out struct {
		Group group `json:"security_group"`
	}
	body := map[string]any{"security_group": map[string]any{"name": in.Group.Name, "description": in.Group.Description.V}}
	if err := a.networks.do(c.Context(), token(c), method, path, nil, body, &out); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, &out.Group)
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	err := a.networks.do(c.Context(), token(c), http.MethodDelete, "/security-groups/"+url.PathEscape(c.Var("id")), nil, nil, nil)
	if fault.Is(err, fault.Conflict) { // in use is a bad request here
		err = fault.Invalidf("%s", fault.As(err).Text)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) createRule(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Rule struct {
			Parent   string           `json:"parent_group_id" v:"required"`
			Protocol rest.Opt[string] `json:"ip_protocol"`
			From     any              `json:"from_port"`
			To       any              `json:"to_port"`
			CIDR     rest.Opt[string] `json:"cidr"`
			GroupID  rest.Opt[string] `json:"group_id"`
		} `json:"security_group_rule" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	from, err := port(in.Rule.From)
	if err != nil {
		return rest.Reply{}, err
	}
	to, err := port(in.Rule.To)
	if err != nil {
		return rest.Reply{}, err
	}
	if !id.Valid(in.Rule.Parent) {
		return rest.Reply{}, fault.Invalidf("Security group id should be uuid")
	}
	if _, err := a.networks.group(c.Context(), token(c), in.Rule.Parent); err != nil {
		return rest.Reply{}, err
	}
	cidr := in.Rule.CIDR.V
	if cidr == "" && in.Rule.GroupID.V == "" {
		cidr = "0.0.0.0/0"
	}
	wanted, err := newRule{group: in.Rule.Parent, protocol: in.Rule.Protocol.V, cidr: cidr, remote: in.Rule.GroupID.V, from: from, to: to}.neutron()
	if err != nil {
		return rest.Reply{}, err
	}
	var out struct {
		Rule rule `json:"security_group_rule"`
	}
	err = a.networks.do(c.Context(), token(c), http.MethodPost, "/security-group-rules", nil, map[string]any{"security_group_rule": wanted}, &out)
	if fault.Is(err, fault.Conflict) { // the same rule again is a bad request here
		err = fault.Invalidf("%s", fault.As(err).Text)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := a.networks.groups(c.Context(), token(c), nil)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"security_group_rule": out.Rule.view(byID(all))})
}

func (a api) removeRule(c *rest.Call) (rest.Reply, error) {
	err := a.networks.do(c.Context(), token(c), http.MethodDelete, "/security-group-rules/"+url.PathEscape(c.Var("id")), nil, nil, nil)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// serverPort is a port of a server with its groups.
type serverPort struct {
	ID     string   `json:"id"`
	Groups []string `json:"security_groups"`
}

func (a api) portsOf(c *rest.Call, server string) ([]serverPort, error) {
	var out struct {
		Ports []serverPort `json:"ports"`
	}
	return out.Ports, a.networks.do(c.Context(), token(c), http.MethodGet, "/ports", url.Values{"device_id": {server}}, nil, &out)
}

func (a api) ofServer(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	ports, err := a.portsOf(c, server.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := a.networks.groups(c.Context(), token(c), nil)
	if err != nil {
		return rest.Reply{}, err
	}
	out, names := []any{}, byID(all)
	for _, g := range all {
		if slices.ContainsFunc(ports, func(p serverPort) bool { return slices.Contains(p.Groups, g.ID) }) {
			out = append(out, g.view(names))
		}
	}
	return rest.OK(map[string]any{"security_groups": out})
}

// change adds a group to every port of a server, or takes it off.
func (a api) change(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name string `json:"name" v:"required,min=1,max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	g, err := a.networks.named(c.Context(), token(c), server.ProjectID, in.Name)
	if err != nil {
		return rest.Reply{}, err
	}
	ports, err := a.portsOf(c, server.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	if c.Action == "removeSecurityGroup" && !slices.ContainsFunc(ports, func(p serverPort) bool { return slices.Contains(p.Groups, g.ID) }) {
		return rest.Reply{}, fault.NotFoundf("Security group %s not associated with the instance %s", in.Name, server.ID)
	}
	for _, p := range ports {
		groups := slices.DeleteFunc(slices.Clone(p.Groups), func(id string) bool { return id == g.ID })
		if c.Action == "addSecurityGroup" {
			groups = append(groups, g.ID)
		}
		body := map[string]any{"port": map[string]any{"security_groups": groups}}
		if err := a.networks.do(c.Context(), token(c), http.MethodPut, "/ports/"+p.ID, nil, body, nil); err != nil {
			return rest.Reply{}, err
		}
	}
	return rest.Accepted(nil)
}
