package assignments

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *API) userProjects(c *rest.Call) (rest.Reply, error) {
	u, err := wire.Find(c, func() (*identity.User, error) { return a.o.User(c.Context(), c.Var("user")) }, func(u *identity.User) policy.Target {
		return policy.Target{"target.user.id": u.ID, "target.user.domain_id": u.DomainID}
	})
	if err != nil {
		return rest.Reply{}, err
	}
	views, err := a.ProjectViews(c, u.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(wire.Collection(c, "projects", views))
}

// ProjectViews shows the projects a user can scope to, narrowed by the
// request's filters name, domain_id and enabled.
func (a *API) ProjectViews(c *rest.Call, user string) ([]map[string]any, error) {
	ids, _, _, err := a.o.Reach(c.Context(), user, groups(c, user))
	if err != nil {
		return nil, err
	}
	return a.views(c, ids, a.o.ProjectView)
}

// DomainViews shows the domains a user can scope to.
func (a *API) DomainViews(c *rest.Call, user string) ([]map[string]any, error) {
	_, ids, _, err := a.o.Reach(c.Context(), user, groups(c, user))
	if err != nil {
		return nil, err
	}
	return a.views(c, ids, a.o.DomainView)
}

// HasSystem tells whether a user can scope to the system.
func (a *API) HasSystem(c *rest.Call, user string) (bool, error) {
	_, _, system, err := a.o.Reach(c.Context(), user, groups(c, user))
	return system, err
}

// groups lists those that an identity provider put a user into who asks about himself.
func groups(c *rest.Call, user string) []string {
	if f := identity.FederationOf(c.Auth); f != nil && user == c.Auth.UserID {
		return f.Groups
	}
	return nil
}

func (a *API) views(c *rest.Call, ids []string, view func(*rest.Call, *identity.Project) map[string]any) ([]map[string]any, error) {
	v := c.Values()
	out := []map[string]any{}
	for _, id := range ids {
		p, err := a.o.Project(c.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if (v.Get("name") != "" && v.Get("name") != p.Name) || (v.Get("domain_id") != "" && v.Get("domain_id") != p.DomainID) ||
			(v.Get("enabled") != "" && wire.Truth(v.Get("enabled")) != p.Enabled) {
			continue
		}
		out = append(out, view(c, p))
	}
	return out, nil
}
