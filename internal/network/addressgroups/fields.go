package addressgroups

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of address groups.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: "shared_address_groups", Check: "field:address_groups:shared=True", Description: "Shared address groups."}}
	out = append(out, wire.Rules(wire.Member, "create_address_group", "update_address_group", "delete_address_group", "add_addresses", "remove_addresses")...)
	out = append(out, wire.Rules(wire.Reader+" or rule:shared_address_groups", "get_address_group")...)
	return append(out, wire.Rules(wire.Admin, "get_address_groups:all")...)
}

func std(g *network.AddressGroup) *network.Standard { return &g.Standard }

func audience(g *network.AddressGroup) network.Audience { return g.SharedWith }

func resource(r *records.Records) *rest.Resource[network.AddressGroup] {
	return &rest.Resource[network.AddressGroup]{
		One: "address_group", Many: "address_groups", Show: "get_address_group", All: "get_address_groups:all", Visible: wire.VisibleTo(2),
		ID: func(g *network.AddressGroup) string { return g.ID }, TargetFor: wire.SharedTarget(std, audience), Store: r.AddressGroups,
		NotFound: wire.Missing("AddressGroupNotFound", "Address group %s could not be found."), Filters: append(wire.TagFilters(), wire.SharedFilter()),
		Fields: append(wire.Tagged(std), []rest.Field[network.AddressGroup]{
			{Name: "addresses", Get: func(g *network.AddressGroup) any { return wire.Prefixes(g.Addresses) }},
			wire.SharedField(audience),
		}...),
	}
}
