package appcreds

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for application credentials.
func Rules() []policy.Rule {
	const read = "(rule:admin_required) or " + wire.SystemReader + " or user_id:%(user_id)s"
	const rules = wire.SystemReader + " or user_id:%(target.user.id)s"
	return []policy.Rule{
		wire.Rule("get_application_credential", read, wire.SystemProject, "Show an application credential."),
		wire.Rule("list_application_credentials", read, wire.SystemProject, "List application credentials."),
		wire.Rule("create_application_credential", "user_id:%(user_id)s", wire.ProjectOnly, "Create an application credential."),
		wire.Rule("delete_application_credential", "(rule:admin_required) or user_id:%(user_id)s", wire.SystemProject, "Delete an application credential."),
		wire.Rule("get_access_rule", rules, wire.SystemProject, "Show an access rule."),
		wire.Rule("list_access_rules", rules, wire.SystemProject, "List access rules."),
		wire.Rule("delete_access_rule", "(role:admin and system_scope:all) or user_id:%(target.user.id)s", wire.SystemProject, "Delete an access rule."),
	}
}

// Roles finds a global role by name; NotFound.
type Roles interface {
	ByName(ctx context.Context, name string) (*identity.Role, error)
}

type api struct {
	s     *Service
	roles Roles
}

// Routes are the operations on application credentials and access rules.
func (s *Service) Routes(roles Roles) []rest.Route {
	a := &api{s, roles}
	const many, rules = "/v3/users/{user}/application_credentials", "/v3/users/{user}/access_rules"
	return []rest.Route{
		{Method: "GET", Path: many, Rule: "identity:list_application_credentials", Object: true, Handle: a.list},
		{Method: "POST", Path: many, Rule: "identity:create_application_credential", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: many + "/{id}", Rule: "identity:get_application_credential", Object: true, Handle: a.show},
		{Method: "DELETE", Path: many + "/{id}", Rule: "identity:delete_application_credential", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: rules, Rule: "identity:list_access_rules", Object: true, Handle: a.listRules},
		{Method: "GET", Path: rules + "/{id}", Rule: "identity:get_access_rule", Object: true, Handle: a.rule},
		{Method: "DELETE", Path: rules + "/{id}", Rule: "identity:delete_access_rule", Object: true, Audit: "delete", Handle: a.deleteRule},
	}
}

// notLent keeps lent tokens away: what they made would outlive what lent them.
func notLent(c *rest.Call) error {
	if wire.Delegated(c) {
		return fault.Forbiddenf("Cannot manage application credentials with a token issued via delegation.")
	}
	return nil
}

// mayManage refuses tokens of restricted application credentials.
func mayManage(c *rest.Call) error {
	if err := notLent(c); err != nil {
		return err
	}
	if c.Auth.Extra["application_credential_id"] != nil && c.Auth.Extra["application_credential_unrestricted"] != true {
		return wire.Refuse("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return nil
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(policy.Target{"user_id": c.Var("user"), "target.user.id": c.Var("user")}); err != nil {
		return rest.Reply{}, err
	}
	if err := notLent(c); err != nil {
		return rest.Reply{}, err
	}
	l := wire.List[identity.AppCredential]{Many: "application_credentials", Filters: wire.Text("name", "name"), Load: a.s.List, View: a.view,
		ID: func(ac *identity.AppCredential) string { return ac.ID }}
	return l.Reply(c, listing.Term{Column: "user_id", Op: listing.Eq, Values: []any{c.Var("user")}})
}

// find takes the owner from the row, never from the path, and wants both to agree.
func (a *api) find(c *rest.Call) (*identity.AppCredential, error) {
	ac, err := wire.FindBelow(c, policy.Target{"user_id": c.Var("user")},
		func() (*identity.AppCredential, error) { return a.s.Get(c.Context(), c.Var("id")) },
		func(ac *identity.AppCredential) policy.Target { return policy.Target{"user_id": ac.UserID} })
	if err != nil {
		return nil, err
	}
	if ac.UserID != c.Var("user") {
		return nil, notFound(c.Var("id"))
	}
	return ac, notLent(c)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	ac, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"application_credential": a.view(c, ac)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	ac, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := mayManage(c); err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), ac.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

type input struct {
	Name         string           `json:"name" v:"required,min=1,max=255"`
	Description  rest.Opt[string] `json:"description"`
	Secret       rest.Opt[string] `json:"secret" v:"max=255"`
	ExpiresAt    rest.Opt[string] `json:"expires_at"`
	Unrestricted bool             `json:"unrestricted"`
	ProjectID    rest.Opt[string] `json:"project_id"`
	Roles        []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"roles"`
	Rules []struct {
		ID      string `json:"id"`
		Service string `json:"service"`
		Path    string `json:"path"`
		Method  string `json:"method"`
	} `json:"access_rules" v:"max=100"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(policy.Target{"user_id": c.Var("user")}); err != nil {
		return rest.Reply{}, err
	}
	if err := mayManage(c); err != nil {
		return rest.Reply{}, err
	}
	var in input
	if err := wire.Strict(c, "application_credential", &in); err != nil {
		return rest.Reply{}, err
	}
	if c.Auth.ProjectID == "" || (in.ProjectID.Set && !in.ProjectID.Null && in.ProjectID.V != c.Auth.ProjectID) {
		return rest.Reply{}, fault.Invalidf("Invalid application credential: it is for the project of the token.")
	}
	ac := identity.AppCredential{Name: in.Name, Description: in.Description.V, UserID: c.Auth.UserID, ProjectID: c.Auth.ProjectID, Unrestricted: in.Unrestricted}
	if err := a.fill(c, &ac, in); err != nil {
		return rest.Reply{}, err
	}
	secret := in.Secret.V
	if secret == "" {
		secret = id.Secret(64)
	}
	made, err := a.s.Create(c.Context(), ac, secret, held(c))
	if err != nil {
		return rest.Reply{}, err
	}
	view := a.view(c, made)
	view["secret"] = secret
	return rest.Created(map[string]any{"application_credential": view})
}

// held are the roles of the caller's token.
func held(c *rest.Call) []identity.Named {
	out := make([]identity.Named, len(c.Auth.Roles))
	for i := range c.Auth.Roles {
		out[i] = identity.Named{ID: c.Auth.RoleIDs[i], Name: c.Auth.Roles[i]}
	}
	return out
}

func (a *api) fill(c *rest.Call, ac *identity.AppCredential, in input) error {
	if ac.Roles = held(c); in.Roles != nil {
		ac.Roles = nil
	}
	for _, r := range in.Roles {
		if r.ID == "" {
			role, err := a.roles.ByName(c.Context(), r.Name)
			if err != nil {
				return err
			}
			r.ID, r.Name = role.ID, role.Name
		}
		i := slices.IndexFunc(held(c), func(h identity.Named) bool { return h.ID == r.ID })
		if i >= 0 {
			r.Name = held(c)[i].Name
		}
		ac.Roles = append(ac.Roles, identity.Named{ID: r.ID, Name: r.Name})
	}
	for _, r := range in.Rules {
		if r.ID == "" && (r.Service == "" || !validPath(r.Path) || !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, r.Method)) {
			return fault.Invalidf("Invalid input for field 'access_rules': a rule has a service, a path and a method")
		}
		ac.Rules = append(ac.Rules, identity.AccessRule{ID: r.ID, Service: r.Service, Path: r.Path, Method: r.Method})
	}
	if in.ExpiresAt.V != "" {
		end, err := parseEnd(in.ExpiresAt.V)
		if err != nil {
			return err
		}
		if !end.After(a.s.clock.Now()) {
			return fault.Invalidf("The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
		}
		ac.ExpiresAt = end
	}
	return nil
}

func (a *api) listRules(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(policy.Target{"target.user.id": c.Var("user")}); err != nil {
		return rest.Reply{}, err
	}
	if err := notLent(c); err != nil {
		return rest.Reply{}, err
	}
	l := wire.List[identity.AccessRule]{Many: "access_rules", Load: a.s.Rules, View: ruleView, ID: func(r *identity.AccessRule) string { return r.ID },
		Filters: []rest.Filter{wire.Text("service", "service")[0], wire.Text("path", "path")[0], wire.Text("method", "method")[0]}}
	return l.Reply(c, listing.Term{Column: "user_id", Op: listing.Eq, Values: []any{c.Var("user")}})
}

func (a *api) findRule(c *rest.Call) (*identity.AccessRule, error) {
	r, err := wire.FindBelow(c, policy.Target{"target.user.id": c.Var("user")}, func() (*identity.AccessRule, error) { return a.s.Rule(c.Context(), c.Var("user"), c.Var("id")) },
		func(r *identity.AccessRule) policy.Target { return policy.Target{"target.user.id": r.UserID} })
	if err != nil {
		return nil, err
	}
	return r, notLent(c)
}

func (a *api) rule(c *rest.Call) (rest.Reply, error) {
	r, err := a.findRule(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"access_rule": ruleView(c, r)})
}

func (a *api) deleteRule(c *rest.Call) (rest.Reply, error) {
	r, err := a.findRule(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := mayManage(c); err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.DeleteRule(c.Context(), r.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
