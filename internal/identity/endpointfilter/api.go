package endpointfilter

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for endpoint filters.
func Rules() []policy.Rule {
	var rules []policy.Rule
	for _, name := range []string{"get_endpoint_group", "list_endpoint_groups", "list_projects_for_endpoint", "check_endpoint_in_project",
		"list_endpoints_for_project", "list_endpoint_groups_for_project", "list_projects_associated_with_endpoint_group",
		"list_endpoints_associated_with_endpoint_group", "get_endpoint_group_in_project"} {
		rules = append(rules, wire.Rule(name, wire.AdminOrSystemReader, wire.SystemProject, "Look at endpoint filters."))
	}
	for _, name := range []string{"create_endpoint_group", "update_endpoint_group", "delete_endpoint_group", "add_endpoint_to_project",
		"remove_endpoint_from_project", "add_endpoint_group_to_project", "remove_endpoint_group_from_project"} {
		rules = append(rules, wire.Rule(name, wire.AdminRequired, wire.SystemProject, "Change endpoint filters."))
	}
	return rules
}

// Others finds and shows what filters refer to.
type Others struct {
	Endpoint     func(ctx context.Context, id string) (*identity.Endpoint, error)
	Endpoints    func(ctx context.Context, q listing.Query) ([]*identity.Endpoint, error)
	EndpointView func(*rest.Call, *identity.Endpoint) map[string]any
	Project      func(ctx context.Context, id string) (*identity.Project, error)
	ProjectView  func(*rest.Call, *identity.Project) map[string]any
}

type api struct {
	s *Service
	o Others
}

// Routes are the operations on endpoint filters.
func (s *Service) Routes(o Others) []rest.Route {
	a := &api{s, o}
	const groups, one = "/v3/OS-EP-FILTER/endpoint_groups", "/v3/OS-EP-FILTER/endpoint_groups/{id}"
	const endpoint, inProject = "/v3/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}", one + "/projects/{project}"
	return []rest.Route{
		{Method: "GET", Path: groups, Rule: "identity:list_endpoint_groups", Handle: a.list},
		{Method: "POST", Path: groups, Rule: "identity:create_endpoint_group", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_endpoint_group", Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_endpoint_group", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_endpoint_group", Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: one + "/endpoints", Rule: "identity:list_endpoints_associated_with_endpoint_group", Handle: a.endpointsOfGroup},
		{Method: "GET", Path: one + "/projects", Rule: "identity:list_projects_associated_with_endpoint_group", Handle: a.projectsOfGroup},
		{Method: "GET", Path: inProject, Rule: "identity:get_endpoint_group_in_project", Handle: a.groupInProject},
		{Method: "PUT", Path: inProject, Rule: "identity:add_endpoint_group_to_project", Audit: "update", Handle: a.giveGroup},
		{Method: "DELETE", Path: inProject, Rule: "identity:remove_endpoint_group_from_project", Audit: "update", Handle: a.takeGroup},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/projects/{project}/endpoint_groups", Rule: "identity:list_endpoint_groups_for_project", Handle: a.groupsOfProject},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/projects/{project}/endpoints", Rule: "identity:list_endpoints_for_project", Handle: a.endpointsOfProject},
		{Method: "GET", Path: endpoint, Rule: "identity:check_endpoint_in_project", Handle: a.hasEndpoint},
		{Method: "PUT", Path: endpoint, Rule: "identity:add_endpoint_to_project", Audit: "update", Handle: a.giveEndpoint},
		{Method: "DELETE", Path: endpoint, Rule: "identity:remove_endpoint_from_project", Audit: "update", Handle: a.takeEndpoint},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoints/{endpoint}/projects", Rule: "identity:list_projects_for_endpoint", Handle: a.projectsOfEndpoint},
	}
}

func groupView(c *rest.Call, g *identity.EndpointGroup) map[string]any {
	return map[string]any{"id": g.ID, "name": g.Name, "description": g.Description, "filters": g.Filters,
		"links": wire.Self(c, "/OS-EP-FILTER/endpoint_groups/"+g.ID)}
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.EndpointGroup]{Many: "endpoint_groups", Filters: wire.Text("name", "name"), Load: a.s.Groups, View: groupView,
		ID: func(g *identity.EndpointGroup) string { return g.ID }}.Reply(c)
}

type filters struct {
	ServiceID string `json:"service_id" v:"max=64"`
	RegionID  string `json:"region_id" v:"max=255"`
	Interface string `json:"interface" v:"enum=public|internal|admin"`
}

type input struct {
	Name        string           `json:"name" v:"min=1,max=255"`
	Description rest.Opt[string] `json:"description"`
	Filters     *filters         `json:"filters"`
}

func (in input) over(g *identity.EndpointGroup) {
	if in.Name != "" {
		g.Name = in.Name
	}
	if in.Description.Set {
		g.Description = nil
		if !in.Description.Null {
			g.Description = &in.Description.V
		}
	}
	if in.Filters != nil {
		g.Filters = identity.EndpointFilters(*in.Filters)
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	if err := wire.Strict(c, "endpoint_group", &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("'name' is a required property")
	}
	if in.Filters == nil || *in.Filters == (filters{}) {
		return rest.Reply{}, fault.Invalidf("filters field is required and cannot be empty")
	}
	var g identity.EndpointGroup
	in.over(&g)
	return wire.Made(c, "endpoint_group", groupView)(a.s.Create(c.Context(), g))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "endpoint_group", groupView)(a.s.Group(c.Context(), c.Var("id")))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	var in input
	if err := wire.Strict(c, "endpoint_group", &in); err != nil {
		return rest.Reply{}, err
	}
	return wire.Shown(c, "endpoint_group", groupView)(a.s.Update(c.Context(), c.Var("id"), in.over))
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Delete(c.Context(), c.Var("id")))
}

// there checks what the path names: a project, an endpoint, a group.
func (a *api) there(c *rest.Call) error {
	if endpoint := c.Var("endpoint"); endpoint != "" {
		if _, err := a.o.Endpoint(c.Context(), endpoint); err != nil {
			return err
		}
	}
	if project := c.Var("project"); project != "" {
		if _, err := a.o.Project(c.Context(), project); err != nil {
			return err
		}
	}
	if group := c.Var("id"); group != "" {
		_, err := a.s.Group(c.Context(), group)
		return err
	}
	return nil
}

// on runs a change or check of what the path names.
func (a *api) on(c *rest.Call, k kind, item string, fn func(ctx context.Context, k kind, p pair) error) error {
	if err := a.there(c); err != nil {
		return err
	}
	return fn(c.Context(), k, pair{c.Var("project"), c.Var(item)})
}

func (a *api) giveEndpoint(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.on(c, endpoints, "endpoint", a.s.give))
}

func (a *api) hasEndpoint(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.on(c, endpoints, "endpoint", a.s.has))
}

func (a *api) takeEndpoint(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.on(c, endpoints, "endpoint", a.s.take))
}

func (a *api) giveGroup(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.on(c, groups, "id", a.s.give))
}

func (a *api) takeGroup(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.on(c, groups, "id", a.s.take))
}

func (a *api) groupInProject(c *rest.Call) (rest.Reply, error) {
	if err := a.on(c, groups, "id", a.s.has); err != nil {
		return rest.Reply{}, err
	}
	group, project := c.Var("id"), c.Var("project")
	return rest.OK(map[string]any{"project_endpoint_group": map[string]any{"endpoint_group_id": group, "project_id": project,
		"links": wire.Self(c, "/OS-EP-FILTER/endpoint_groups/"+group+"/projects/"+project)}})
}

func (a *api) groupsOfProject(c *rest.Call) (rest.Reply, error) {
	if err := a.there(c); err != nil {
		return rest.Reply{}, err
	}
	return wire.Listed(c, "endpoint_groups", groupView)(a.s.GroupsOf(c.Context(), c.Var("project")))
}

func (a *api) endpointsWhere(c *rest.Call, shown func(*identity.Endpoint) bool) (rest.Reply, error) {
	all, err := a.o.Endpoints(c.Context(), listing.Query{})
	var out []*identity.Endpoint
	for _, e := range all {
		if shown != nil && shown(e) {
			out = append(out, e)
		}
	}
	return wire.Listed(c, "endpoints", a.o.EndpointView)(out, err)
}

// endpointsOfProject lists what the project was given, nothing for one that
// sees the whole catalog.
func (a *api) endpointsOfProject(c *rest.Call) (rest.Reply, error) {
	if err := a.there(c); err != nil {
		return rest.Reply{}, err
	}
	shown, err := a.s.Shown(c.Context(), c.Var("project"))
	if err != nil {
		return rest.Reply{}, err
	}
	return a.endpointsWhere(c, shown)
}

func (a *api) endpointsOfGroup(c *rest.Call) (rest.Reply, error) {
	g, err := a.s.Group(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return a.endpointsWhere(c, g.Filters.Has)
}

func (a *api) projectsOfGroup(c *rest.Call) (rest.Reply, error) { return a.projects(c, groups, "id") }

func (a *api) projectsOfEndpoint(c *rest.Call) (rest.Reply, error) {
	return a.projects(c, endpoints, "endpoint")
}

func (a *api) projects(c *rest.Call, k kind, item string) (rest.Reply, error) {
	if err := a.there(c); err != nil {
		return rest.Reply{}, err
	}
	ids, err := a.s.projectsOf(c.Context(), k, c.Var(item))
	if err != nil {
		return rest.Reply{}, err
	}
	var out []*identity.Project
	for _, id := range ids {
		p, err := a.o.Project(c.Context(), id)
		if err != nil {
			return rest.Reply{}, err
		}
		out = append(out, p)
	}
	return wire.Listed(c, "projects", a.o.ProjectView)(out, nil)
}
