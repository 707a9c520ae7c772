package legacy

import (
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) userRoutes() []rest.Route {
	const one = "/v2.0/users/{id}"
	change := func(path string) rest.Route {
		return rest.Route{Method: "PUT", Path: path, Rule: admin, Audit: "update", Extension: true, Handle: a.updateUser}
	}
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/users", Rule: admin, Extension: true, Handle: a.users},
		{Method: "POST", Path: "/v2.0/users", Rule: admin, Audit: "create", Extension: true, Handle: a.createUser},
		{Method: "GET", Path: one, Rule: admin, Extension: true, Handle: a.showUser},
		change(one), change(one + "/enabled"), change(one + "/OS-KSADM/enabled"), change(one + "/password"), change(one + "/OS-KSADM/password"),
		change(one + "/tenant"), change(one + "/OS-KSADM/tenant"),
		{Method: "DELETE", Path: one, Rule: admin, Audit: "delete", Extension: true, Handle: a.deleteUser},
		{Method: "PATCH", Path: "/v2.0/OS-KSCRUD/users/{id}", Rule: own, Audit: "update", Handle: a.ownPassword},
	}
}

func userView(u *identity.User) map[string]any {
	view := map[string]any{"id": u.ID, "name": u.Name, "username": u.Name, "enabled": u.Enabled, "email": u.Extra["email"]}
	if u.DefaultProjectID != "" {
		view["tenantId"] = u.DefaultProjectID
	}
	return wire.With(view, u.Extra)
}

// users lists users, or shows the one of a name.
func (a *api) users(c *rest.Call) (rest.Reply, error) {
	if name := c.Values().Get("name"); name != "" {
		return answer("user", userView)(a.Users.ByName(c.Context(), identity.DefaultDomainID, name))
	}
	q, err := page(c, listing.Query{}.And("domain_id", listing.Eq, identity.DefaultDomainID))
	if err != nil {
		return rest.Reply{}, err
	}
	return list("users", userView)(a.Users.List(c.Context(), q))
}

func (a *api) showUser(c *rest.Call) (rest.Reply, error) {
	return answer("user", userView)(a.user(c.Context(), c.Var("id")))
}

type userInput struct {
	Name     *string          `json:"name" v:"max=255"`
	Username *string          `json:"username" v:"max=255"`
	Password rest.Opt[string] `json:"password" v:"max=4096"`
	TenantID rest.Opt[string] `json:"tenantId" v:"max=64"`
	Tenant   rest.Opt[string] `json:"tenant_id" v:"max=64"`
	Enabled  *bool            `json:"enabled"`
}

// read takes the members of a user; name and tenantId have second spellings.
func (a *api) read(c *rest.Call) (in userInput, extra map[string]any, err error) {
	if extra, err = wire.Body(c, "user", &in); err != nil {
		return in, nil, err
	}
	if in.Name == nil {
		in.Name = in.Username
	}
	if !in.TenantID.Set {
		in.TenantID = in.Tenant
	}
	if in.Name != nil && *in.Name == "" {
		return in, nil, fault.Invalidf("Name field is required and cannot be empty")
	}
	if in.TenantID.V != "" {
		_, err = a.tenant(c.Context(), in.TenantID.V)
	}
	return in, extra, err
}

// join makes a user a member of a tenant.
func (a *api) join(c *rest.Call, user, tenant string) error {
	role, err := a.Roles.ByName(c.Context(), "member")
	if err != nil {
		return err
	}
	return a.Grants.Assign(c.Context(), identity.Assignment{UserID: user, ProjectID: tenant, RoleID: role.ID})
}

func (a *api) createUser(c *rest.Call) (rest.Reply, error) {
	in, extra, err := a.read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Name == nil {
		return rest.Reply{}, fault.Invalidf("Name field is required and cannot be empty")
	}
	u := identity.User{Name: *in.Name, DomainID: identity.DefaultDomainID, DefaultProjectID: in.TenantID.V, Enabled: in.Enabled == nil || *in.Enabled, Extra: extra}
	var password *string
	if in.Password.Set && !in.Password.Null {
		password = &in.Password.V
	}
	made, err := a.Users.Create(c.Context(), u, password)
	if err == nil && u.DefaultProjectID != "" {
		err = a.join(c, made.ID, u.DefaultProjectID)
	}
	return answer("user", userView)(made, err)
}

func (a *api) updateUser(c *rest.Call) (rest.Reply, error) {
	u, err := a.user(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	in, extra, err := a.read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	change := UserChange{Name: in.Name, Enabled: in.Enabled, Extra: extra}
	if in.Password.Set && !in.Password.Null {
		change.Password = &in.Password.V
	}
	if in.TenantID.Set {
		change.TenantID = &in.TenantID.V
		if in.TenantID.V != "" {
			if err := a.join(c, u.ID, in.TenantID.V); err != nil {
				return rest.Reply{}, err
			}
		}
	}
	return answer("user", userView)(a.UpdateUser(c.Context(), u.ID, change))
}

func (a *api) deleteUser(c *rest.Call) (rest.Reply, error) {
	u, err := a.user(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return done(a.Users.Delete(c.Context(), u.ID))
}

// ownPassword changes the caller's own password and gives a token of the same
// scope, since the old ones end.
func (a *api) ownPassword(c *rest.Call) (rest.Reply, error) {
	id := c.Var("id")
	if id != c.Auth.UserID {
		return rest.Reply{}, fault.Forbiddenf("Token belongs to another user")
	}
	var in struct {
		Original string `json:"original_password" v:"max=4096"`
		Password string `json:"password" v:"max=4096"`
	}
	if _, err := wire.Body(c, "user", &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Original == "" || in.Password == "" {
		return rest.Reply{}, fault.Invalidf("'original_password' and 'password' are required properties")
	}
	if err := a.Guard(id, c.RemoteAddr, func() error { return a.Users.ChangePassword(c.Context(), id, in.Original, in.Password) }); err != nil {
		return rest.Reply{}, err
	}
	login := object{"passwordCredentials": object{"userId": id, "password": in.Password}}
	if c.Auth.ProjectID != "" {
		login["tenantId"] = c.Auth.ProjectID
	}
	body, err := json.Marshal(object{"auth": login})
	if err != nil {
		return rest.Reply{}, fault.Internalf("encode login: %w", err)
	}
	payload, err := translate(body)
	if err != nil {
		return rest.Reply{}, err
	}
	issued, err := a.Login(c, payload)
	if err != nil {
		return rest.Reply{}, err
	}
	return a.access(c, issued)
}
