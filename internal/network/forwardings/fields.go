package forwardings

import (
	"fmt"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of port forwardings.
func Rules() []policy.Rule {
	return append(wire.Rules(wire.ParentMember, "create_floatingip_port_forwarding", "update_floatingip_port_forwarding", "delete_floatingip_port_forwarding"),
		wire.Rules(wire.ParentReader, "get_floatingip_port_forwarding")...)
}

func resource(r *records.Records) *rest.Resource[network.Forwarding] {
	return &rest.Resource[network.Forwarding]{
		One: "port_forwarding", Many: "port_forwardings", Show: "get_floatingip_port_forwarding", ID: func(f *network.Forwarding) string { return f.ID },
		Target: func(f *network.Forwarding) policy.Target { return wire.ParentTarget(f.ProjectID) }, Store: r.Forwardings,
		Fields: []rest.Field[network.Forwarding]{
			{Name: "id", Column: "id", Get: func(f *network.Forwarding) any { return f.ID }},
			{Name: "description", Column: "description", Get: func(f *network.Forwarding) any { return f.Description }},
			{Name: "protocol", Column: "protocol", Get: func(f *network.Forwarding) any { return f.Protocol }},
			{Name: "internal_port_id", Column: "port_id", Get: func(f *network.Forwarding) any { return f.PortID }},
			{Name: "internal_ip_address", Column: "fixed_address", Get: func(f *network.Forwarding) any { return f.Fixed.String() }},
			{Name: "internal_port", Column: "internal_port", Kind: rest.Number, Get: func(f *network.Forwarding) any { return single(f.InternalFirst, f.InternalLast) }},
			{Name: "external_port", Column: "external_port", Kind: rest.Number, Get: func(f *network.Forwarding) any { return single(f.ExternalFirst, f.ExternalLast) }},
			{Name: "internal_port_range", Get: func(f *network.Forwarding) any { return span(f.InternalFirst, f.InternalLast) }},
			{Name: "external_port_range", Get: func(f *network.Forwarding) any { return span(f.ExternalFirst, f.ExternalLast) }},
		},
	}
}

// single is a port where there is but one.
func single(first, last int) any {
	if first != last {
		return nil
	}
	return first
}

func span(first, last int) string { return fmt.Sprintf("%d:%d", first, last) }
