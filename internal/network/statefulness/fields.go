package statefulness

import (
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const name = "security_groups_default_statefulness" // one of them, and many

// Rules are the policy rules of default statefulness.
func Rules() []policy.Rule {
	out := wire.Rules(wire.Manager, "create_"+name, "update_"+name, "delete_"+name)
	out = append(out, wire.Rules(wire.Reader, "get_"+name)...)
	return append(out, wire.Rules(wire.Admin, "get_"+name+":all")...)
}

func resource(r *records.Records) *rest.Resource[network.Statefulness] {
	return &rest.Resource[network.Statefulness]{
		One: name, Many: name, Show: "get_" + name, All: "get_" + name + ":all", Owner: "project_id",
		ID: func(s *network.Statefulness) string { return s.ID }, Target: target, Store: r.Statefulness,
		NotFound: wire.Missing("SecurityGroupDefaultStatefulnessNotFound", "Security group default statefulness %s could not be found."),
		Fields: []rest.Field[network.Statefulness]{
			{Name: "id", Column: "id", Get: func(s *network.Statefulness) any { return s.ID }},
			{Name: "project_id", Column: "project_id", Get: func(s *network.Statefulness) any { return wire.Text(s.ProjectID) }},
			{Name: "stateful", Column: "stateful", Kind: rest.Flag, Get: func(s *network.Statefulness) any { return s.Stateful }},
		},
	}
}

// target is what policy asks: what is said for all belongs to no project.
func target(s *network.Statefulness) policy.Target {
	if s.ProjectID == "" {
		return policy.Target{}
	}
	return wire.Target(s.ProjectID)
}
