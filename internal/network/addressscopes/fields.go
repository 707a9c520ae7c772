package addressscopes

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of address scopes.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: "shared_address_scopes", Check: "field:address_scopes:shared=True", Description: "Shared address scopes."}}
	out = append(out, wire.Rules(wire.Member, "create_address_scope", "update_address_scope", "delete_address_scope")...)
	out = append(out, wire.Rules(wire.Reader+" or rule:shared_address_scopes", "get_address_scope")...)
	return append(out, wire.Rules(wire.Admin, "create_address_scope:shared", "update_address_scope:shared", "get_address_scopes:all")...)
}

func std(s *network.AddressScope) *network.Standard { return &s.Standard }

func audience(s *network.AddressScope) network.Audience { return s.SharedWith }

func resource(r *records.Records) *rest.Resource[network.AddressScope] {
	return &rest.Resource[network.AddressScope]{
		One: "address_scope", Many: "address_scopes", Show: "get_address_scope", All: "get_address_scopes:all", Visible: wire.VisibleTo(2),
		ID: func(s *network.AddressScope) string { return s.ID }, TargetFor: wire.SharedTarget(std, audience), Store: r.Scopes,
		NotFound: wire.Missing("AddressScopeNotFound", "Address scope %s could not be found."), Filters: []rest.Filter{wire.SharedFilter()},
		Fields: []rest.Field[network.AddressScope]{
			{Name: "id", Column: "id", Get: func(s *network.AddressScope) any { return s.ID }},
			{Name: "name", Column: "name", Get: func(s *network.AddressScope) any { return s.Name }},
			{Name: "tenant_id", Column: "project_id", Get: func(s *network.AddressScope) any { return s.ProjectID }},
			{Name: "project_id", Column: "project_id", Get: func(s *network.AddressScope) any { return s.ProjectID }},
			{Name: "ip_version", Column: "ip_version", Kind: rest.Number, Get: func(s *network.AddressScope) any { return s.IPVersion }},
			wire.SharedField(audience),
		},
	}
}
