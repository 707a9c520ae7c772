package oauth1

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for OAuth 1.0a.
func Rules() []policy.Rule {
	rules := []policy.Rule{
		wire.Rule("get_consumer", wire.AdminOrSystemReader, wire.SystemProject, "Show a consumer."),
		wire.Rule("list_consumers", wire.AdminOrSystemReader, wire.SystemProject, "List consumers."),
	}
	for _, verb := range []string{"create", "update", "delete"} {
		rules = append(rules, wire.Rule(verb+"_consumer", wire.AdminRequired, wire.SystemProject, "Change consumers."))
	}
	for _, name := range []string{"authorize_request_token", "get_access_token", "get_access_token_role", "list_access_tokens", "list_access_token_roles", "delete_access_token"} {
		rules = append(rules, wire.Rule(name, wire.AdminRequired, wire.ProjectOnly, "Lend roles to consumers."))
	}
	return rules
}

// Others finds what tokens refer to.
type Others struct {
	Project  func(ctx context.Context, id string) (*identity.Project, error)
	Role     func(ctx context.Context, id string) (*identity.Role, error)
	RoleView func(*rest.Call, *identity.Role) map[string]any
	// Roles gives the effective roles of a user on a scope.
	Roles func(ctx context.Context, user string, scope identity.Scope) ([]identity.Named, error)
}

type api struct {
	s *Service
	o Others
}

// Routes are the operations on consumers and their tokens.
func (s *Service) Routes(o Others) []rest.Route {
	a := &api{s, o}
	const consumers, one = "/v3/OS-OAUTH1/consumers", "/v3/OS-OAUTH1/consumers/{id}"
	const accesses, access = "/v3/users/{user}/OS-OAUTH1/access_tokens", "/v3/users/{user}/OS-OAUTH1/access_tokens/{id}"
	return []rest.Route{
		{Method: "GET", Path: consumers, Rule: "identity:list_consumers", Handle: a.list},
		{Method: "POST", Path: consumers, Rule: "identity:create_consumer", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_consumer", Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_consumer", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_consumer", Audit: "delete", Handle: a.delete},
		{Method: "POST", Path: "/v3/OS-OAUTH1/request_token", Open: true, Audit: "create", MaxBody: 16 << 10, Handle: a.ask},
		{Method: "PUT", Path: "/v3/OS-OAUTH1/authorize/{token}", Rule: "identity:authorize_request_token", Audit: "update", Handle: a.grant},
		{Method: "POST", Path: "/v3/OS-OAUTH1/access_token", Open: true, Audit: "create", MaxBody: 16 << 10, Handle: a.exchange},
		{Method: "GET", Path: accesses, Rule: "identity:list_access_tokens", Handle: a.accesses},
		{Method: "GET", Path: access, Rule: "identity:get_access_token", Handle: a.access},
		{Method: "DELETE", Path: access, Rule: "identity:delete_access_token", Audit: "delete", Handle: a.revoke},
		{Method: "GET", Path: access + "/roles", Rule: "identity:list_access_token_roles", Handle: a.roles},
		{Method: "GET", Path: access + "/roles/{role}", Rule: "identity:get_access_token_role", Handle: a.role},
	}
}

func view(c *rest.Call, o *identity.Consumer) map[string]any {
	return wire.With(map[string]any{"id": o.ID, "description": o.Description, "links": wire.Self(c, "/OS-OAUTH1/consumers/"+o.ID)}, o.Extra)
}

// firstView shows the secret too, once.
func firstView(c *rest.Call, o *identity.Consumer) map[string]any {
	v := view(c, o)
	v["secret"] = o.Secret
	return v
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Consumer]{Many: "consumers", Load: a.s.Consumers, View: view, ID: func(o *identity.Consumer) string { return o.ID }}.Reply(c)
}

type input struct {
	Description rest.Opt[string] `json:"description"`
}

func (in input) over(o *identity.Consumer) {
	if in.Description.Set {
		o.Description = nil
		if !in.Description.Null {
			o.Description = &in.Description.V
		}
	}
}

// read takes a consumer's members. Its secret is not for the caller to choose.
func read(c *rest.Call) (in input, extra map[string]any, err error) {
	extra, err = wire.Body(c, "consumer", &in)
	if _, ok := extra["secret"]; ok && err == nil {
		err = fault.Invalidf("'secret' cannot be set for a consumer")
	}
	return in, extra, err
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, extra, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	o := identity.Consumer{Extra: extra}
	in.over(&o)
	return wire.Made(c, "consumer", firstView)(a.s.CreateConsumer(c.Context(), o))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "consumer", view)(a.s.Consumer(c.Context(), c.Var("id")))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	in, extra, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Shown(c, "consumer", view)(a.s.UpdateConsumer(c.Context(), c.Var("id"), func(o *identity.Consumer) {
		in.over(o)
		o.Extra = wire.Merge(o.Extra, extra)
	}))
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.DeleteConsumer(c.Context(), c.Var("id")))
}

// issued answers with a token in the form that OAuth asks for.
func issued(id, secret string, expires any) (rest.Reply, error) {
	form := url.Values{"oauth_token": {id}, "oauth_token_secret": {secret}}.Encode()
	if text, ok := expires.(string); ok {
		form += "&oauth_expires_at=" + text
	}
	return rest.Reply{Status: http.StatusCreated, Body: form}.With("Content-Type", "application/x-www-form-urlencoded"), nil
}

func (a *api) ask(c *rest.Call) (rest.Reply, error) {
	project := c.Header.Get("Requested-Project-Id")
	if project == "" {
		return rest.Reply{}, expecting("Requested-Project-Id")
	}
	if _, err := a.o.Project(c.Context(), project); err != nil {
		return rest.Reply{}, err
	}
	r, err := a.s.Ask(c.Context(), wire.Signed(c), project)
	if err != nil {
		return rest.Reply{}, err
	}
	return issued(r.ID, r.Secret, wire.Time(r.ExpiresAt))
}

func (a *api) exchange(c *rest.Call) (rest.Reply, error) {
	t, err := a.s.Exchange(c.Context(), wire.Signed(c))
	if err != nil {
		return rest.Reply{}, err
	}
	return issued(t.ID, t.Secret, wire.Time(t.ExpiresAt))
}

// grant checks that the caller has the roles it lends.
func (a *api) grant(c *rest.Call) (rest.Reply, error) {
	if wire.Delegated(c) || c.Auth.Extra["application_credential_id"] != nil {
		return rest.Reply{}, fault.Forbiddenf("Cannot authorize a request token with a token issued via delegation.")
	}
	var in struct {
		Roles []struct {
			ID   string `json:"id" v:"max=64"`
			Name string `json:"name" v:"max=255"`
		} `json:"roles" v:"required,max=100"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	r, err := a.s.Request(c.Context(), c.Var("token"))
	if err != nil {
		return rest.Reply{}, err
	}
	has, err := a.o.Roles(c.Context(), c.Auth.UserID, identity.Scope{ProjectID: r.ProjectID})
	if err != nil {
		return rest.Reply{}, err
	}
	var lent []string
	for _, one := range in.Roles {
		if (one.ID == "") == (one.Name == "") {
			return rest.Reply{}, fault.Invalidf("A role is given by its id or by its name")
		}
		at := slices.IndexFunc(has, func(n identity.Named) bool { return n.ID == one.ID || n.Name == one.Name })
		if at < 0 {
			return rest.Reply{}, refused("authorizing user does not have role required", nil)
		}
		lent = append(lent, has[at].ID)
	}
	verifier, err := a.s.Grant(c.Context(), r.ID, c.Auth.UserID, lent)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"token": map[string]any{"oauth_verifier": verifier}})
}

func accessView(c *rest.Call, t *identity.OAuthAccess) map[string]any {
	self := "/users/" + t.UserID + "/OS-OAUTH1/access_tokens/" + t.ID
	return map[string]any{"id": t.ID, "consumer_id": t.ConsumerID, "project_id": t.ProjectID, "authorizing_user_id": t.UserID,
		"expires_at": wire.Time(t.ExpiresAt), "links": map[string]any{"self": c.Link("/v3" + self), "roles": c.Link("/v3" + self + "/roles")}}
}

// direct refuses tokens that were themselves lent.
func direct(c *rest.Call) error {
	if wire.Delegated(c) {
		return fault.Forbiddenf("Cannot manage access tokens with a token issued via delegation.")
	}
	return nil
}

func (a *api) accesses(c *rest.Call) (rest.Reply, error) {
	if err := direct(c); err != nil {
		return rest.Reply{}, err
	}
	return wire.List[identity.OAuthAccess]{Many: "access_tokens", Load: a.s.Accesses, View: accessView,
		ID: func(t *identity.OAuthAccess) string { return t.ID }}.Reply(c, listing.Term{Column: "user_id", Op: listing.Eq, Values: []any{c.Var("user")}})
}

// find loads the access token of the path; NotFound, also for another user's.
func (a *api) find(c *rest.Call) (*identity.OAuthAccess, error) {
	if err := direct(c); err != nil {
		return nil, err
	}
	t, err := a.s.Access(c.Context(), c.Var("id"))
	if err == nil && t.UserID != c.Var("user") {
		err = fault.NotFoundf("Access token not found")
	}
	return t, err
}

func (a *api) access(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "access_token", accessView)(a.find(c))
}

func (a *api) revoke(c *rest.Call) (rest.Reply, error) {
	if err := direct(c); err != nil {
		return rest.Reply{}, err
	}
	return wire.Done(a.s.Revoke(c.Context(), c.Var("user"), c.Var("id")))
}

func (a *api) roles(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var out []*identity.Role
	for _, id := range t.RoleIDs {
		r, err := a.o.Role(c.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue // deleted since
		}
		if err != nil {
			return rest.Reply{}, err
		}
		out = append(out, r)
	}
	return wire.Listed(c, "roles", a.o.RoleView)(out, nil)
}

func (a *api) role(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if !slices.Contains(t.RoleIDs, c.Var("role")) {
		return rest.Reply{}, fault.NotFoundf("Could not find role: %s.", c.Var("role"))
	}
	return wire.Shown(c, "role", a.o.RoleView)(a.o.Role(c.Context(), c.Var("role")))
}
