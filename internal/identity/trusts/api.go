package trusts

import (
	"context"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for trusts.
func Rules() []policy.Rule {
	const trustor, trustee = "user_id:%(target.trust.trustor_user_id)s", "user_id:%(target.trust.trustee_user_id)s"
	either := "(rule:admin_required) or (" + wire.SystemReader + " or " + trustor + " or " + trustee + ")"
	return []policy.Rule{
		wire.Rule("create_trust", trustor, wire.ProjectOnly, "Create a trust."),
		wire.Rule("list_trusts", wire.AdminOrSystemReader, wire.SystemProject, "List all trusts."),
		wire.Rule("list_trusts_for_trustor", "(rule:admin_required) or ("+wire.SystemReader+" or "+trustor+")", wire.SystemProject, "List what a user lends."),
		wire.Rule("list_trusts_for_trustee", "(rule:admin_required) or ("+wire.SystemReader+" or "+trustee+")", wire.SystemProject, "List what a user is lent."),
		wire.Rule("list_roles_for_trust", either, wire.SystemProject, "List the roles of a trust."),
		wire.Rule("get_role_for_trust", either, wire.SystemProject, "Check a role of a trust."),
		wire.Rule("delete_trust", "rule:admin_required or "+trustor, wire.SystemProject, "Delete a trust."),
		wire.Rule("get_trust", either, wire.SystemProject, "Show a trust."),
	}
}

// Others finds what trusts refer to.
type Others struct {
	User     func(ctx context.Context, id string) (*identity.User, error)
	Project  func(ctx context.Context, id string) (*identity.Project, error)
	Role     func(ctx context.Context, id string) (*identity.Role, error)
	RoleName func(ctx context.Context, name string) (*identity.Role, error)
	RoleView func(*rest.Call, *identity.Role) map[string]any
	// Roles gives a user's effective roles on a scope.
	Roles func(ctx context.Context, user string, scope identity.Scope) ([]identity.Named, error)
}

type api struct {
	s *Service
	o Others
}

// Routes are the operations on trusts.
func (s *Service) Routes(o Others) []rest.Route {
	a := &api{s, o}
	const many, one = "/v3/OS-TRUST/trusts", "/v3/OS-TRUST/trusts/{id}"
	return []rest.Route{
		{Method: "GET", Path: many, Rule: "identity:list_trusts", Object: true, Handle: a.list},
		{Method: "POST", Path: many, Rule: "identity:create_trust", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_trust", Object: true, Handle: a.show},
		{Method: "DELETE", Path: one, Rule: "identity:delete_trust", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: one + "/roles", Rule: "identity:list_roles_for_trust", Object: true, Handle: a.roles},
		{Method: "GET", Path: one + "/roles/{role}", Rule: "identity:get_role_for_trust", Object: true, Handle: a.role},
		{Method: "HEAD", Path: one + "/roles/{role}", Rule: "identity:get_role_for_trust", Object: true, Handle: a.role},
	}
}

func view(c *rest.Call, t *identity.Trust) map[string]any {
	v := map[string]any{"id": t.ID, "trustor_user_id": t.TrustorID, "trustee_user_id": t.TrusteeID, "project_id": wire.OrNull(t.ProjectID),
		"impersonation": t.Impersonation, "expires_at": wire.Time(t.ExpiresAt), "deleted_at": nil, "remaining_uses": nil,
		"redelegation_count": t.Redelegations, "redelegated_trust_id": wire.OrNull(t.RedelegatedID), "links": wire.Self(c, "/OS-TRUST/trusts/"+t.ID)}
	if t.RemainingUses >= 0 {
		v["remaining_uses"] = t.RemainingUses
	}
	return v
}

func (a *api) whole(c *rest.Call, t *identity.Trust) (map[string]any, error) {
	v := view(c, t)
	roles, err := a.roleViews(c, t)
	v["roles"] = roles
	v["roles_links"] = map[string]any{"self": c.Link("/v3/OS-TRUST/trusts/" + t.ID + "/roles"), "next": nil, "previous": nil}
	return v, err
}

func (a *api) roleViews(c *rest.Call, t *identity.Trust) ([]map[string]any, error) {
	out := []map[string]any{}
	for _, n := range t.Roles {
		r, err := a.o.Role(c.Context(), n.ID)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a.o.RoleView(c, r))
	}
	return out, nil
}

// notByAppCredential keeps application credentials and OAuth out of the chain of trusts.
func notByAppCredential(c *rest.Call) error {
	if c.Auth.Extra["application_credential_id"] != nil {
		return wire.Refuse("Using method 'application_credential' is not allowed for managing trusts.")
	}
	if c.Auth.Extra["oauth_access_token_id"] != nil {
		return wire.Refuse("Using method 'oauth1' is not allowed for managing trusts.")
	}
	return nil
}

// find answers 404 before it asks the rule, as upstream does here.
func (a *api) find(c *rest.Call) (*identity.Trust, error) {
	t, missing := a.s.Get(c.Context(), c.Var("id"))
	target := policy.Target{}
	if missing == nil {
		target["target.trust.trustor_user_id"], target["target.trust.trustee_user_id"] = t.TrustorID, t.TrusteeID
	}
	refused := c.Authorize(target)
	if missing != nil {
		return nil, missing
	}
	if refused != nil {
		return nil, refused
	}
	return t, notByAppCredential(c)
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	v := c.Values()
	rule, target := c.Rule(), policy.Target{}
	var where []listing.Term
	for _, side := range []string{"trustee", "trustor"} {
		if user := v.Get(side + "_user_id"); user != "" {
			rule = "identity:list_trusts_for_" + side
			target["target.trust."+side+"_user_id"] = user
			where = append(where, listing.Term{Column: side + "_id", Op: listing.Eq, Values: []any{user}})
		}
	}
	if err := c.Authorize(target); err != nil && !c.Allow(rule, target) {
		return rest.Reply{}, err
	}
	if err := notByAppCredential(c); err != nil {
		return rest.Reply{}, err
	}
	return wire.List[identity.Trust]{Many: "trusts", Load: a.s.List, View: view, ID: func(t *identity.Trust) string { return t.ID }}.Reply(c, where...)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	v, err := a.whole(c, t)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"trust": v})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), t.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) roles(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	views, err := a.roleViews(c, t)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(wire.Collection(c, "roles", views))
}

func (a *api) role(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if !slices.ContainsFunc(t.Roles, func(n identity.Named) bool { return n.ID == c.Var("role") }) {
		return rest.Reply{}, fault.NotFoundf("Could not find role: %s.", c.Var("role"))
	}
	r, err := a.o.Role(c.Context(), c.Var("role"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"role": a.o.RoleView(c, r)})
}

type input struct {
	Trustor       string           `json:"trustor_user_id" v:"required"`
	Trustee       string           `json:"trustee_user_id" v:"required"`
	Impersonation *bool            `json:"impersonation" v:"required"`
	ProjectID     rest.Opt[string] `json:"project_id"`
	RemainingUses rest.Opt[int]    `json:"remaining_uses" v:"min=1"`
	ExpiresAt     rest.Opt[string] `json:"expires_at"`
	Allow         rest.Opt[bool]   `json:"allow_redelegation"`
	Redelegations rest.Opt[int]    `json:"redelegation_count" v:"min=0"`
	Roles         []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"roles"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	if _, err := wire.Body(c, "trust", &in); err != nil {
		return rest.Reply{}, err
	}
	if err := c.Authorize(policy.Target{"target.trust.trustor_user_id": in.Trustor}); err != nil {
		return rest.Reply{}, err
	}
	if err := notByAppCredential(c); err != nil {
		return rest.Reply{}, err
	}
	t, err := a.fill(c, in)
	if err != nil {
		return rest.Reply{}, err
	}
	var source *identity.Trust
	if behind, ok := c.Auth.Extra["trust_id"].(string); ok {
		if source, err = a.s.Get(c.Context(), behind); err != nil {
			return rest.Reply{}, err
		}
	}
	if err := a.has(c, t, source); err != nil {
		return rest.Reply{}, err
	}
	made, err := a.s.Create(c.Context(), t, source)
	if err != nil {
		return rest.Reply{}, err
	}
	v, err := a.whole(c, made)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"trust": v})
}

func (a *api) fill(c *rest.Call, in input) (identity.Trust, error) {
	t := identity.Trust{TrustorID: in.Trustor, TrusteeID: in.Trustee, Impersonation: *in.Impersonation, ProjectID: in.ProjectID.V,
		RemainingUses: -1, AllowRedelegate: in.Allow.V, Redelegations: -1}
	if in.RemainingUses.Set && !in.RemainingUses.Null {
		t.RemainingUses = in.RemainingUses.V
	}
	if in.Redelegations.Set && !in.Redelegations.Null {
		t.Redelegations = in.Redelegations.V
	}
	if t.ProjectID != "" && len(in.Roles) == 0 {
		return t, wire.Refuse("At least one role should be specified")
	}
	if _, err := a.o.User(c.Context(), in.Trustee); err != nil {
		return t, err
	}
	if t.ProjectID != "" {
		if _, err := a.o.Project(c.Context(), t.ProjectID); err != nil {
			return t, err
		}
	}
	for _, r := range in.Roles {
		find, word := a.o.Role, r.ID
		if word == "" {
			find, word = a.o.RoleName, r.Name
		}
		role, err := find(c.Context(), word)
		if err != nil {
			return t, err
		}
		t.Roles = append(t.Roles, identity.Named{ID: role.ID, Name: role.Name})
	}
	return t, a.end(&t, in.ExpiresAt.V)
}

func (a *api) end(t *identity.Trust, text string) error {
	if text == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05-0700"} {
		end, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if t.ExpiresAt = end.UTC(); !end.After(a.s.clock.Now()) {
			return fault.Invalidf("The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
		}
		return nil
	}
	return fault.Invalidf("Timestamp not in expected format. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
}

// has checks that the trustor has what is lent; a role it does not have is not
// found, as upstream answers. A lent token can pass on what its trust holds.
func (a *api) has(c *rest.Call, t identity.Trust, source *identity.Trust) error {
	if t.ProjectID == "" || source != nil {
		return nil // Create compares with the source
	}
	roles, err := a.o.Roles(c.Context(), t.TrustorID, identity.Scope{ProjectID: t.ProjectID})
	if err != nil {
		return err
	}
	for _, r := range t.Roles {
		if !slices.ContainsFunc(roles, func(n identity.Named) bool { return n.ID == r.ID }) {
			return fault.NotFoundf("Could not find role: %s.", r.ID)
		}
	}
	return nil
}
