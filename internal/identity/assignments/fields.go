package assignments

import (
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// view is an assignment as GET /v3/role_assignments shows it. names is nil
// unless they were asked for.
func view(c *rest.Call, l Listed, names map[string]map[string]label) map[string]any {
	out, links := map[string]any{}, map[string]any{}
	named := func(kind, id string) map[string]any {
		v := map[string]any{"id": id}
		if n, ok := names[kind][id]; ok {
			v["name"] = n.name
			if n.domainID != "" {
				v["domain"] = identity.Named{ID: n.domainID, Name: n.domain}
			}
		}
		return v
	}
	inherited := l.Inherited
	scope, path := map[string]any{}, "/system"
	switch {
	case l.ProjectID != "":
		scope["project"] = named("project", l.ProjectID)
		path = "/projects/" + l.ProjectID
		if l.ViaDomain != "" {
			inherited, path = true, "/domains/"+l.ViaDomain
		} else if l.ViaProject != "" {
			inherited, path = true, "/projects/"+l.ViaProject
		}
	case l.DomainID != "":
		d := named("project", l.DomainID)
		delete(d, "domain")
		scope["domain"] = d
		path = "/domains/" + l.DomainID
	default:
		scope["system"] = map[string]any{"all": true}
	}
	switch {
	case l.ViaGroup != "":
		out["user"] = named("user", l.UserID)
		links["membership"] = c.Link("/v3/groups/" + l.ViaGroup + "/users/" + l.UserID)
		path += "/groups/" + l.ViaGroup
	case l.UserID != "":
		out["user"] = named("user", l.UserID)
		path += "/users/" + l.UserID
	default:
		out["group"] = named("group", l.GroupID)
		path += "/groups/" + l.GroupID
	}
	out["role"] = named("role", l.RoleID)
	if l.ViaRole != "" {
		path += "/roles/" + l.ViaRole
		links["prior_role"] = c.Link("/v3/prior_role/" + l.RoleID + "/implies/" + l.ViaRole)
	} else {
		path += "/roles/" + l.RoleID
	}
	if inherited {
		scope["OS-INHERIT:inherited_to"] = "projects"
		path = "/OS-INHERIT" + path + "/inherited_to_projects"
	}
	out["scope"] = scope
	links["assignment"] = c.Link("/v3" + path)
	out["links"] = links
	return out
}

func flag(c *rest.Call, name string) bool {
	v, ok := c.Values()[name]
	return ok && wire.Truth(v[0])
}
