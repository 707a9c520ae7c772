package subnetpools

import (
	"strconv"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of subnet pools.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: "shared_subnetpools", Check: "field:subnetpools:shared=True", Description: "Shared subnet pools."}}
	out = append(out, wire.Rules(wire.Member, "create_subnetpool", "update_subnetpool", "delete_subnetpool", "onboard_network_subnets", "add_prefixes", "remove_prefixes")...)
	out = append(out, wire.Rules(wire.Reader+" or rule:shared_subnetpools", "get_subnetpool")...)
	return append(out, wire.Rules(wire.Admin, "create_subnetpool:shared", "create_subnetpool:is_default", "update_subnetpool:is_default", "get_subnetpools:all")...)
}

func std(p *network.SubnetPool) *network.Standard { return &p.Standard }

func audience(p *network.SubnetPool) network.Audience { return p.SharedWith }

func resource(r *records.Records) *rest.Resource[network.SubnetPool] {
	number := func(name, column string, get func(*network.SubnetPool) int) rest.Field[network.SubnetPool] {
		return rest.Field[network.SubnetPool]{Name: name, Column: column, Kind: rest.Number, Get: func(p *network.SubnetPool) any { return strconv.Itoa(get(p)) }}
	}
	return &rest.Resource[network.SubnetPool]{
		One: "subnetpool", Many: "subnetpools", Show: "get_subnetpool", All: "get_subnetpools:all", Visible: wire.VisibleTo(2),
		ID: func(p *network.SubnetPool) string { return p.ID }, TargetFor: wire.SharedTarget(std, audience), Store: r.Pools,
		NotFound: wire.Missing("SubnetPoolNotFound", "Subnet pool %s could not be found."), Filters: append(wire.TagFilters(), wire.SharedFilter()),
		Fields: append(wire.Tagged(std), []rest.Field[network.SubnetPool]{
			{Name: "prefixes", Get: func(p *network.SubnetPool) any { return wire.Prefixes(p.Prefixes) }},
			{Name: "ip_version", Column: "ip_version", Kind: rest.Number, Get: func(p *network.SubnetPool) any { return p.IPVersion }},
			number("default_prefixlen", "default_bits", func(p *network.SubnetPool) int { return p.DefaultBits }),
			number("min_prefixlen", "min_bits", func(p *network.SubnetPool) int { return p.MinBits }),
			number("max_prefixlen", "max_bits", func(p *network.SubnetPool) int { return p.MaxBits }),
			{Name: "default_quota", Column: "quota", Kind: rest.Number, Get: func(p *network.SubnetPool) any {
				if p.Quota == 0 {
					return nil
				}
				return p.Quota
			}},
			{Name: "address_scope_id", Column: "scope_id", Get: func(p *network.SubnetPool) any { return wire.Text(p.AddressScopeID) }},
			{Name: "is_default", Column: "is_default", Kind: rest.Flag, Get: func(p *network.SubnetPool) any { return p.IsDefault }},
			wire.SharedField(audience),
		}...),
	}
}
