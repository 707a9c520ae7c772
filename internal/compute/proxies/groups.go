package proxies

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
)

// group is a security group as Neutron shows it.
type group struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	ProjectID   string `json:"project_id"`
	Rules       []rule `json:"security_group_rules"`
}

type rule struct {
	ID        string  `json:"id"`
	GroupID   string  `json:"security_group_id"`
	Direction string  `json:"direction"`
	Ether     string  `json:"ethertype"`
	Protocol  *string `json:"protocol"`
	Min       *int    `json:"port_range_min"`
	Max       *int    `json:"port_range_max"`
	Prefix    *string `json:"remote_ip_prefix"`
	RemoteID  *string `json:"remote_group_id"`
	ProjectID string  `json:"project_id"`
}

func (n *Networks) groups(ctx context.Context, token string, query url.Values) ([]group, error) {
	var out struct {
		Groups []group `json:"security_groups"`
	}
	return out.Groups, n.do(ctx, token, http.MethodGet, "/security-groups", query, nil, &out)
}

func (n *Networks) group(ctx context.Context, token, id string) (*group, error) {
	var out struct {
		Group group `json:"security_group"`
	}
	err := n.do(ctx, token, http.MethodGet, "/security-groups/"+url.PathEscape(id), nil, nil, &out)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Security group %s not found.", id)
	}
	return &out.Group, err
}

// named finds a group of a project by its name or id; Conflict when the name is not unique.
func (n *Networks) named(ctx context.Context, token, project, name string) (*group, error) {
	all, err := n.groups(ctx, token, url.Values{"project_id": {project}})
	if err != nil {
		return nil, err
	}
	var found []group
	for _, g := range all {
		if g.ID == name {
			return &g, nil
		}
		if g.Name == name {
			found = append(found, g)
		}
	}
	switch len(found) {
	case 0:
		return nil, fault.NotFoundf("Security group %s not found for project %s.", name, project)
	case 1:
		return &found[0], nil
	}
	return nil, fault.Conflictf("Multiple security groups found matching '%s'. Use an ID to be more specific.", name)
}

// view is the group in Nova's form, which has incoming rules only.
func (g *group) view(names map[string]group) map[string]any {
	rules := []any{}
	for _, r := range g.Rules {
		if r.Direction == "ingress" {
			rules = append(rules, r.view(names))
		}
	}
	return map[string]any{"id": g.ID, "name": g.Name, "description": g.Description, "tenant_id": g.ProjectID, "rules": rules}
}

func (r rule) view(names map[string]group) map[string]any {
	out := map[string]any{"id": r.ID, "parent_group_id": r.GroupID, "ip_protocol": nil, "from_port": nil, "to_port": nil,
		"group": map[string]any{}, "ip_range": map[string]any{}}
	if r.Protocol != nil {
		out["ip_protocol"] = *r.Protocol
	}
	if r.Min != nil {
		out["from_port"] = *r.Min
	}
	if r.Max != nil {
		out["to_port"] = *r.Max
	}
	if r.Protocol != nil && r.Min == nil && r.Max == nil { // all ports, or all kinds of ICMP
		out["from_port"], out["to_port"] = 1, 65535
		if strings.HasPrefix(*r.Protocol, "icmp") {
			out["from_port"], out["to_port"] = -1, -1
		}
	}
	switch {
	case r.RemoteID != nil:
		out["group"] = map[string]any{"name": names[*r.RemoteID].Name, "tenant_id": names[*r.RemoteID].ProjectID}
	case r.Prefix != nil:
		out["ip_range"] = map[string]any{"cidr": *r.Prefix}
	case r.Ether == "IPv6":
		out["ip_range"] = map[string]any{"cidr": "::/0"}
	default:
		out["ip_range"] = map[string]any{"cidr": "0.0.0.0/0"}
	}
	return out
}

func byID(all []group) map[string]group {
	out := make(map[string]group, len(all))
	for _, g := range all {
		out[g.ID] = g
	}
	return out
}

// newRule is a rule as Nova's clients ask for it.
type newRule struct {
	group, protocol, cidr, remote string
	from, to                      *int
}

func (r newRule) neutron() (map[string]any, error) {
	out := map[string]any{"security_group_id": r.group, "direction": "ingress", "ethertype": "IPv4"}
	if strings.Contains(r.cidr, ":") {
		out["ethertype"] = "IPv6"
	}
	if r.remote != "" {
		out["remote_group_id"] = r.remote
	} else if r.cidr != "" {
		out["remote_ip_prefix"] = r.cidr
	}
	if r.protocol != "" {
		out["protocol"] = strings.ToLower(r.protocol)
	}
	if r.from == nil || r.to == nil {
		if r.remote == "" {
			return nil, fault.Invalidf("Not enough parameters to build a valid rule.")
		}
		return out, nil
	}
	if *r.from != -1 {
		out["port_range_min"] = *r.from
	}
	if *r.to != -1 {
		out["port_range_max"] = *r.to
	}
	return out, nil
}

// port reads a port of Nova's body: a number, text that holds one, or nothing.
func port(v any) (*int, error) {
	var n int
	var err error
	switch v := v.(type) {
	case nil:
		return nil, nil
	case float64:
		n = int(v)
	case string:
		if n, err = strconv.Atoi(v); err != nil {
			return nil, fault.Invalidf("Invalid input for from_port or to_port: %q is not a number.", v)
		}
	default:
		return nil, fault.Invalidf("Invalid input for from_port or to_port.")
	}
	if n < -1 || n > 65535 {
		return nil, fault.Invalidf("Invalid port range: %d.", n)
	}
	return &n, nil
}
