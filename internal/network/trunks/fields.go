package trunks

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of trunks.
func Rules() []policy.Rule {
	out := wire.Rules(wire.Member, "create_trunk", "update_trunk", "delete_trunk", "add_subports", "remove_subports")
	out = append(out, wire.Rules(wire.Reader, "get_trunk", "get_subports")...)
	return append(out, wire.Rules(wire.Admin, "get_trunks:all")...)
}

func std(t *network.Trunk) *network.Standard { return &t.Standard }

func resource(r *records.Records) *rest.Resource[network.Trunk] {
	return &rest.Resource[network.Trunk]{
		One: "trunk", Many: "trunks", Show: "get_trunk", All: "get_trunks:all", Visible: wire.VisibleTo(1),
		ID: func(t *network.Trunk) string { return t.ID }, Target: func(t *network.Trunk) policy.Target { return wire.Target(t.ProjectID) },
		Store: r.Trunks, NotFound: wire.Missing("TrunkNotFound", "Trunk %s could not be found."), Filters: wire.TagFilters(),
		Fields: append(wire.Tagged(std), []rest.Field[network.Trunk]{
			{Name: "port_id", Column: "port_id", Get: func(t *network.Trunk) any { return t.PortID }},
			{Name: "admin_state_up", Column: "admin_state_up", Kind: rest.Flag, Get: func(t *network.Trunk) any { return t.AdminStateUp }},
			{Name: "status", Get: func(t *network.Trunk) any { return t.Status }},
			{Name: "sub_ports", Get: func(t *network.Trunk) any { return views(t) }},
		}...),
	}
}

func views(t *network.Trunk) []map[string]any {
	out := make([]map[string]any, 0, len(t.SubPorts))
	for _, s := range t.SubPorts {
		out = append(out, map[string]any{"port_id": s.PortID, "segmentation_type": s.SegmentationType, "segmentation_id": s.SegmentationID})
	}
	return out
}
