package rbac

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	*Service
	resource *rest.Resource[network.SharePolicy]
}

// Routes are the operations of sharing policies.
func (s *Service) Routes() []rest.Route {
	a := &api{s, resource(s.records)}
	const all, one = "/v2.0/rbac-policies", "/v2.0/rbac-policies/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "get_rbac_policy", Handle: a.resource.Index},
		{Method: "POST", Path: all, Rule: "create_rbac_policy", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "get_rbac_policy", Object: true, Handle: a.resource.Read},
		{Method: "PUT", Path: one, Rule: "update_rbac_policy", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "delete_rbac_policy", Object: true, Audit: "delete", Handle: a.remove},
	}
}

type body struct {
	TargetTenant  *string `json:"target_tenant" v:"max=255"`
	TargetProject *string `json:"target_project" v:"max=255"`
}

func (b body) target() (string, error) {
	for _, t := range []*string{b.TargetTenant, b.TargetProject} {
		if t == nil {
			continue
		}
		if *t != network.Everybody && !id.Valid(*t) {
			return "", invalid("'%s' is not a valid target project ID; expected a UUID or '*'.", *t)
		}
		return *t, nil
	}
	return "", fault.Invalidf("Failed to parse request. Required attribute 'target_tenant' not specified").With("HTTPBadRequest")
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := wire.One[struct {
		body
		TenantID  *string `json:"tenant_id" v:"max=255"`
		ProjectID *string `json:"project_id" v:"max=255"`
		Type      string  `json:"object_type" v:"required,max=255"`
		Object    string  `json:"object_id" v:"required,uuid"`
		Action    string  `json:"action" v:"required,max=255"`
	}](c, "rbac_policy")
	if err != nil {
		return rest.Reply{}, err
	}
	owner, err := wire.Owner(c, in.TenantID, in.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	p := &network.SharePolicy{Standard: network.Standard{ID: id.New(), ProjectID: owner}, ObjectType: in.Type, ObjectID: in.Object, Action: in.Action}
	if p.Target, err = in.target(); err != nil {
		return rest.Reply{}, err
	}
	if err := wire.Restricted(c, target(p), map[string]bool{"create_rbac_policy:target_tenant": true}); err != nil {
		return rest.Reply{}, err
	}
	if err := a.Create(c.Context(), p, c.Allow("admin_only", c.Caller()), c.Event("rbac_policy", p.ID, owner)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.resource.Body(c, p))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	p, in, err := wire.Change[network.SharePolicy, body](c, a.resource)
	if err != nil {
		return rest.Reply{}, err
	}
	want := *p
	if want.Target, err = in.target(); err != nil {
		return rest.Reply{}, err
	}
	if err := wire.Restricted(c, target(&want), map[string]bool{"update_rbac_policy:target_tenant": true}); err != nil {
		return rest.Reply{}, err
	}
	if p, err = a.Update(c.Context(), p.ID, want.Target, c.Event("rbac_policy", p.ID, p.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.resource.Body(c, p))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	return wire.Remove(c, a.resource, func(p *network.SharePolicy) error {
		return a.Delete(c.Context(), p.ID, c.Event("rbac_policy", p.ID, p.ProjectID))
	})
}
