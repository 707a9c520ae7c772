package topologies

import (
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are the policy rules of topologies.
func Rules() []policy.Rule {
	return append(wire.Rules(wire.Reader, "get_auto_allocated_topology"), wire.Rules(wire.Member, "delete_auto_allocated_topology")...)
}

type api struct{ *Service }

// Routes are the operations of topologies.
func (s *Service) Routes() []rest.Route {
	a := api{s}
	const one = "/v2.0/auto-allocated-topology/{project}"
	return []rest.Route{
		{Method: "GET", Path: one, Rule: "get_auto_allocated_topology", Object: true, Handle: a.show},
		{Method: "DELETE", Path: one, Rule: "delete_auto_allocated_topology", Object: true, Audit: "delete", Handle: a.remove},
	}
}

const (
	nobody = "None"    // as clients write the project of their token
	dryRun = "dry-run" // among fields: make nothing
)

func bad(format string, args ...any) error {
	return fault.Invalidf("Bad auto_allocate request: "+format, args...).With("BadRequest")
}

// project is whose topology is meant, by a caller who may have it.
func project(c *rest.Call) (string, error) {
	p := c.Var("project")
	if p == nobody {
		p = c.Auth.ProjectID
	}
	if err := c.Authorize(wire.Target(p)); err != nil {
		return "", err
	}
	if p == "" || len(p) > 255 {
		return "", bad("there is no such project.")
	}
	return p, nil
}

// show makes a topology, as upstream's does.
func (a api) show(c *rest.Call) (rest.Reply, error) {
	owner, err := project(c)
	if err != nil {
		return rest.Reply{}, err
	}
	reach := owner
	if c.Allow("admin_only", c.Caller()) {
		reach = ""
	}
	asked := slices.DeleteFunc(slices.Clone(c.Values()["fields"]), func(f string) bool { return f == "" })
	switch {
	case slices.Contains(asked, dryRun):
		if err := a.Ready(c.Context(), a.records.DB, reach); err != nil {
			return rest.Reply{}, err
		}
		return answer(dryRun+"=pass", owner)
	case len(asked) > 0:
		return rest.Reply{}, bad("Unrecognized field.")
	}
	networkID, err := a.Ensure(c.Context(), owner, reach)
	if err != nil {
		return rest.Reply{}, err
	}
	return answer(networkID, owner)
}

func answer(id, owner string) (rest.Reply, error) {
	return rest.OK(map[string]any{"auto_allocated_topology": map[string]any{"id": id, "tenant_id": owner, "project_id": owner}})
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	owner, err := project(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.Delete(c.Context(), owner); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
