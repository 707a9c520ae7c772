package groups

import (
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type templateBody struct {
	Direction    string                    `json:"direction" v:"required,enum=ingress|egress"`
	EtherType    rest.Opt[string]          `json:"ethertype"`
	Protocol     rest.Opt[json.RawMessage] `json:"protocol"`
	PortMin      rest.Opt[rest.Int]        `json:"port_range_min"`
	PortMax      rest.Opt[rest.Int]        `json:"port_range_max"`
	RemoteGroup  rest.Opt[string]          `json:"remote_group_id"`
	RemotePrefix rest.Opt[string]          `json:"remote_ip_prefix"`
	AddressGroup rest.Opt[string]          `json:"remote_address_group_id"`
	Description  rest.Opt[string]          `json:"description" v:"max=255"`
	InDefault    *rest.Bool                `json:"used_in_default_sg"`
	InOthers     *rest.Bool                `json:"used_in_non_default_sg"`
}

func (a *api) templateRoutes() []rest.Route {
	const all, one = "/v2.0/default-security-group-rules", "/v2.0/default-security-group-rules/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_default_security_group_rule", Handle: a.templates.Index},
		{Method: "POST", Path: all, Rule: "create_default_security_group_rule", Audit: "create", Handle: a.createTemplate},
		{Method: "GET", Path: one, Rule: "get_default_security_group_rule", Object: true, Handle: a.templates.Read},
		{Method: "DELETE", Path: one, Rule: "delete_default_security_group_rule", Object: true, Audit: "delete", Handle: a.removeTemplate},
	}
}

func (a *api) createTemplate(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[templateBody](c, "default_security_group_rule")
	if err != nil {
		return rest.Reply{}, err
	}
	like := ruleBody{Direction: in.Direction, EtherType: in.EtherType, Protocol: in.Protocol, PortMin: in.PortMin, PortMax: in.PortMax,
		RemoteGroup: in.RemoteGroup, RemotePrefix: in.RemotePrefix, AddressGroup: in.AddressGroup, Description: in.Description}
	r, err := like.rule()
	if err != nil {
		return rest.Reply{}, err
	}
	if r.RemoteGroupID != network.OwnGroup {
		if err := a.remotes(c, r); err != nil {
			return rest.Reply{}, err
		}
	}
	r.ID = id.New()
	t := &network.RuleTemplate{Rule: *r, InOthers: true}
	if in.InDefault != nil {
		t.InDefault = bool(*in.InDefault)
	}
	if in.InOthers != nil {
		t.InOthers = bool(*in.InOthers)
	}
	if !t.InDefault && !t.InOthers {
		return rest.Reply{}, fault.Invalidf("Invalid input for operation: a default security group rule that no group uses.").With("InvalidInput")
	}
	if err := a.AddTemplate(c.Context(), t, c.Event("default_security_group_rule", t.ID, "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.templates.Body(c, t))
}

func (a *api) removeTemplate(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.templates, func(t *network.RuleTemplate) error {
		return a.RemoveTemplate(c.Context(), t.ID, c.Event("default_security_group_rule", t.ID, ""))
	})
}
