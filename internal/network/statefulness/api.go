package statefulness

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.Statefulness]
}

// Routes are the operations of default statefulness.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/security-groups-default-statefulness", "/v2.0/security-groups-default-statefulness/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_" + name, Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_" + name, Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_" + name, Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_" + name, Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_" + name, Object: true, Audit: "delete", Handle: a.remove},
	}
}

type createBody struct {
	TenantID  rest.Opt[string] `json:"tenant_id" v:"max=255"`
	ProjectID rest.Opt[string] `json:"project_id" v:"max=255"`
	Stateful  *rest.Bool       `json:"stateful"`
}

// project is whose it is to be, and whether that was said: nobody's is for all.
// Of which nothing is said is the caller's.
func (b createBody) project(own string) (project string, told bool, err error) {
	given := b.ProjectID
	if !given.Set {
		given = b.TenantID
	}
	if b.TenantID.Set && b.TenantID != given {
		return "", false, fault.Invalidf("'project_id' and 'tenant_id' do not match")
	}
	if given.Set {
		own = given.Or("")
	}
	return own, given.Set, nil
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[createBody](c, name)
	if err != nil {
		return rest.Reply{}, err
	}
	item := &network.Statefulness{ID: id.New(), Stateful: in.Stateful == nil || bool(*in.Stateful)}
	told := false
	if item.ProjectID, told, err = in.project(c.Auth.ProjectID); err != nil {
		return rest.Reply{}, err
	}
	if err := c.Authorize(target(item)); err != nil {
		return rest.Reply{}, err
	}
	if !told && item.ProjectID == "" {
		return rest.Reply{}, fault.Invalidf("A token without a project requires that project_id is specified")
	}
	if err := a.Create(c.Context(), item, c.Event(name, item.ID, item.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, item))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	item, in, err := wire.Change[network.Statefulness, struct {
		Stateful *rest.Bool `json:"stateful"`
	}](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	if item, err = a.Update(c.Context(), item.ID, (*bool)(in.Stateful), c.Event(name, item.ID, item.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, item))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(s *network.Statefulness) error {
		return a.Delete(c.Context(), s.ID, c.Event(name, s.ID, s.ProjectID))
	})
}
