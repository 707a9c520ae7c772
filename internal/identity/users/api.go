package users

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const writeCheck = "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)"

// Rules are upstream's rules for users.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("get_user", "(rule:admin_required) or "+wire.SystemReader+
			" or (role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s", wire.AllScopes, "Show a user."),
		wire.Rule("list_users", "(rule:admin_required) or "+wire.SystemReader+" or (role:reader and domain_id:%(target.domain_id)s)", wire.AllScopes, "List users."),
		wire.Rule("create_user", writeCheck, wire.AllScopes, "Create a user."),
		wire.Rule("update_user", writeCheck, wire.AllScopes, "Update a user, the password too."),
		wire.Rule("delete_user", writeCheck, wire.AllScopes, "Delete a user."),
	}
}

// Guard runs an attempt to prove who somebody is under the limits of logins.
type Guard func(account, remote string, attempt func() error) error

type api struct {
	s     *Service
	guard Guard
}

// Routes are the operations on users themselves.
func (s *Service) Routes(guard Guard) []rest.Route {
	a := &api{s, guard}
	const one = "/v3/users/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/users", Rule: "identity:list_users", Object: true, Handle: a.list},
		{Method: "POST", Path: "/v3/users", Rule: "identity:create_user", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_user", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_user", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_user", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "POST", Path: one + "/password", Open: true, Audit: "update", MaxBody: 16 << 10, Handle: a.password},
	}
}

func (a *api) find(c *rest.Call) (*identity.User, error) {
	return wire.Find(c, func() (*identity.User, error) { return a.s.Get(c.Context(), c.Var("id")) }, target)
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	tgt := policy.Target{}
	var more []listing.Term
	if d := c.Auth.DomainID; d != "" {
		tgt["target.domain_id"] = d
		more = append(more, listing.Term{Column: "domain_id", Op: listing.Eq, Values: []any{d}})
	}
	if err := c.Authorize(tgt); err != nil {
		return rest.Reply{}, err
	}
	l := a.index()
	if f, some := askedFor(c); some {
		l.Load = func(ctx context.Context, q listing.Query) ([]*identity.User, error) {
			return a.s.store.list(ctx, a.s.DB, q, federatedAs(f))
		}
	}
	return l.Reply(c, more...)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	u, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if u.Federated, err = a.s.Federated(c.Context(), u.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"user": View(c, u)})
}

type input struct {
	Name             string            `json:"name" v:"min=1,max=255,match=\\S"`
	DomainID         rest.Opt[string]  `json:"domain_id" v:"max=64"`
	DefaultProjectID rest.Opt[string]  `json:"default_project_id" v:"max=64"`
	Enabled          *rest.Bool        `json:"enabled"`
	Password         rest.Opt[string]  `json:"password" v:"max=4096"`
	Options          *optionsInput     `json:"options"`
	Federated        *[]federatedInput `json:"federated"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "user", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	domain := in.DomainID.V
	if domain == "" {
		domain = c.Auth.DomainID
	}
	if err := c.Authorize(policy.Target{"target.user.domain_id": domain}); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("'name' is a required property")
	}
	u := identity.User{Name: in.Name, DefaultProjectID: in.DefaultProjectID.V, Enabled: in.Enabled == nil || bool(*in.Enabled), Extra: extra}
	u.DomainID = wire.DomainOf(c, domain)
	if err := a.mayDefault(c, u.DefaultProjectID); err != nil {
		return rest.Reply{}, err
	}
	if in.Options != nil {
		if u.Options, err = in.Options.over(u.Options); err != nil {
			return rest.Reply{}, err
		}
	}
	if u.Federated, err = names(c, in.Federated); err != nil {
		return rest.Reply{}, err
	}
	var password *string
	if in.Password.Set && !in.Password.Null {
		password = &in.Password.V
	}
	made, err := a.s.Create(c.Context(), u, password)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"user": View(c, made)})
}

// mayDefault refuses a domain as somebody's default project.
func (a *api) mayDefault(c *rest.Call, project string) error {
	if project == "" {
		return nil
	}
	p, err := a.s.Domains.Get(c.Context(), project)
	if err == nil && p.IsDomain {
		return fault.Invalidf("User's default project ID cannot be a domain ID: %s", project)
	}
	return nil // a project that does not exist is accepted, as upstream does
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	u, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in input
	extra, err := wire.Body(c, "user", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.DomainID.Set && in.DomainID.V != u.DomainID {
		return rest.Reply{}, fault.Invalidf("Update of `domain_id` is not allowed.")
	}
	change := Change{Extra: extra}
	if in.Name != "" {
		change.Name = &in.Name
	}
	if in.DefaultProjectID.Set {
		if err := a.mayDefault(c, in.DefaultProjectID.V); err != nil {
			return rest.Reply{}, err
		}
		change.DefaultProjectID = &in.DefaultProjectID.V
	}
	if in.Enabled != nil {
		enabled := bool(*in.Enabled)
		change.Enabled = &enabled
	}
	if in.Password.Set && !in.Password.Null {
		change.Password = &in.Password.V
	}
	if in.Options != nil {
		options, err := in.Options.over(u.Options)
		if err != nil {
			return rest.Reply{}, err
		}
		change.Options = &options
	}
	if in.Federated != nil {
		list, err := names(c, in.Federated)
		if err != nil {
			return rest.Reply{}, err
		}
		change.Federated = &list
	}
	made, err := a.s.Update(c.Context(), u.ID, change)
	if err != nil {
		return rest.Reply{}, err
	}
	if made.Federated, err = a.s.Federated(c.Context(), u.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"user": View(c, made)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	u, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), u.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// password is a user's own change. It needs no token, because a user whose
// password has expired cannot get one.
func (a *api) password(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Original string `json:"original_password" v:"max=4096"`
		Password string `json:"password" v:"min=1,max=4096"`
	}
	if _, err := wire.Body(c, "user", &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Original == "" || in.Password == "" {
		return rest.Reply{}, fault.Invalidf("'original_password' and 'password' are required properties")
	}
	err := a.guard(c.Var("id"), c.RemoteAddr, func() error {
		return a.s.ChangePassword(c.Context(), c.Var("id"), in.Original, in.Password)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// ListInGroup answers the list of a group's users, for package groups, which
// has authorised it.
func (s *Service) ListInGroup(c *rest.Call, group string) (rest.Reply, error) {
	var more []listing.Term
	if d := c.Auth.DomainID; d != "" { // people of a domain see its users only
		more = append(more, listing.Term{Column: "domain_id", Op: listing.Eq, Values: []any{d}})
	}
	a := &api{s: s}
	l := a.index()
	l.Load = func(ctx context.Context, q listing.Query) ([]*identity.User, error) { return s.InGroup(ctx, group, q) }
	return l.Reply(c, more...)
}
