package groups

import (
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleIndex  = "os_compute_api:os-server-groups:index"
	ruleAll    = "os_compute_api:os-server-groups:index:all_projects"
	ruleCreate = "os_compute_api:os-server-groups:create"
	ruleShow   = "os_compute_api:os-server-groups:show"
	ruleDelete = "os_compute_api:os-server-groups:delete"
)

// owners is since when groups show their project and user; soft since when the soft policies exist.
const (
	owners = microversion.Version(2013)
	soft   = microversion.Version(2015)
)

// Rules are the policy rules of server groups, with upstream's names and defaults.
func Rules() []policy.Rule {
	scopes := []string{"project"}
	return []policy.Rule{
		{Name: ruleIndex, Check: policy.ProjectReaderOrAdmin, Scopes: scopes, Description: "List server groups."},
		{Name: ruleAll, Check: policy.Admin, Scopes: scopes, Description: "List server groups of all projects."},
		{Name: ruleCreate, Check: policy.ProjectMemberOrAdmin, Scopes: scopes, Description: "Create a server group."},
		{Name: ruleShow, Check: policy.ProjectReaderOrAdmin, Scopes: scopes, Description: "Show a server group."},
		{Name: ruleDelete, Check: policy.ProjectMemberOrAdmin, Scopes: scopes, Description: "Delete a server group."},
	}
}

type api struct {
	groups *Groups
	table  *rest.Resource[Group]
}

// Routes are the operations of server groups.
func (s *Groups) Routes() []rest.Route {
	a := &api{groups: s}
	a.table = &rest.Resource[Group]{One: "server_group", Many: "server_groups", Show: ruleShow,
		NotFound: func(id string) error { return fault.NotFoundf("Instance group %s could not be found.", id) },
		ID:       func(g *Group) string { return g.ID },
		Target:   func(g *Group) policy.Target { return policy.Target{"project_id": g.ProjectID, "user_id": g.UserID} },
		Store:    s.store}
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/os-server-groups", Rule: ruleIndex, Query: rest.Known(compute.StrictEverywhere, "all_projects", "limit", "offset"), Handle: a.list},
		{Method: "POST", Path: "/v2.1/os-server-groups", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.1/os-server-groups/{id}", Rule: ruleShow, Object: true, Handle: a.show},
		{Method: "DELETE", Path: "/v2.1/os-server-groups/{id}", Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.remove},
	}
}

func (a *api) views(c *rest.Call, groups ...*Group) ([]any, error) {
	ids := make([]string, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	members, err := a.groups.members.InGroups(c.Context(), ids)
	out := make([]any, len(groups))
	for i, g := range groups {
		out[i] = view(c, g, append([]string{}, members[g.ID]...))
	}
	return out, err
}

func view(c *rest.Call, g *Group, members []string) map[string]any {
	out := map[string]any{"id": g.ID, "name": g.Name, "members": members}
	if c.At(compute.ServerGroupPolicy) {
		rules := map[string]int{}
		if g.MaxPerHost > 0 {
			rules["max_server_per_host"] = g.MaxPerHost
		}
		out["policy"], out["rules"] = g.Policy, rules
	} else {
		out["policies"], out["metadata"] = []string{g.Policy}, map[string]string{}
	}
	if c.At(owners) {
		out["project_id"], out["user_id"] = g.ProjectID, g.UserID
	}
	return out
}

// list pages by offset, as this resource alone still does.
func (a *api) list(c *rest.Call) (rest.Reply, error) {
	q := listing.Query{Limit: 1000}
	if c.Values().Has("all_projects") && c.Allow(ruleAll, c.Caller()) {
		// of all projects
	} else {
		q = q.And("project_id", listing.Eq, c.Auth.ProjectID)
	}
	offset := 0
	for key, into := range map[string]*int{"limit": &q.Limit, "offset": &offset} {
		if text := c.Values().Get(key); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return rest.Reply{}, fault.Invalidf("Invalid input for query parameters %s. Value: %s", key, text)
			}
			*into = n
		}
	}
	if q.Limit == 0 {
		q.Limit = 1000
	}
	q.Limit = min(q.Limit, 1000) + offset
	groups, err := a.groups.store.List(c.Context(), q)
	if err != nil {
		return rest.Reply{}, err
	}
	out, err := a.views(c, groups[min(offset, len(groups)):]...)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"server_groups": out})
}

type createBody struct {
	Group struct {
		Name     string   `json:"name" v:"required,name,min=1,max=255"`
		Policies []string `json:"policies" until:"2.64" v:"min=1,max=1"`
		Policy   string   `json:"policy" since:"2.64" v:"enum=affinity|anti-affinity|soft-affinity|soft-anti-affinity"`
		Rules    struct {
			MaxPerHost rest.Int `json:"max_server_per_host" v:"min=1"`
		} `json:"rules" since:"2.64"`
	} `json:"server_group" v:"required"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in createBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	chosen := in.Group.Policy
	if len(in.Group.Policies) == 1 {
		chosen = in.Group.Policies[0]
	}
	switch {
	case chosen == "affinity" || chosen == "anti-affinity":
	case (chosen == "soft-affinity" || chosen == "soft-anti-affinity") && c.At(soft):
	default:
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute policies. Value: %s. It is not a policy of server groups.", chosen)
	}
	if in.Group.Rules.MaxPerHost > 0 && chosen != "anti-affinity" {
		return rest.Reply{}, fault.Invalidf("Only anti-affinity policy supports rules.")
	}
	g := &Group{ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Name: in.Group.Name, Policy: chosen, MaxPerHost: int(in.Group.Rules.MaxPerHost)}
	if err := a.groups.create(c.Context(), g, c.Event("server_group", "", g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, g)
}

func (a *api) answer(c *rest.Call, g *Group) (rest.Reply, error) {
	out, err := a.views(c, g)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"server_group": out[0]})
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, g)
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.groups.remove(c.Context(), g.ID, c.Event("server_group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
