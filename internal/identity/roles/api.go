package roles

import (
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for roles.
func Rules() []policy.Rule {
	rules := []policy.Rule{
		{Name: "domain_managed_target_role", Description: "Roles that managers of a domain may hand out.",
			Check: "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"},
		wire.Rule("get_role", "("+wire.AdminOrSystemReader+") or (role:manager and rule:domain_managed_target_role)", wire.AllScopes, "Show a role."),
		wire.Rule("list_roles", "("+wire.AdminOrSystemReader+") or (role:manager and not domain_id:None)", wire.AllScopes, "List roles."),
	}
	for _, name := range []string{"create_role", "update_role", "delete_role", "create_domain_role", "update_domain_role", "delete_domain_role",
		"create_implied_role", "delete_implied_role"} {
		rules = append(rules, wire.Rule(name, wire.AdminRequired, wire.SystemProject, "Change roles."))
	}
	for _, name := range []string{"get_domain_role", "list_domain_roles", "get_implied_role", "list_implied_roles", "list_role_inference_rules", "check_implied_role"} {
		rules = append(rules, wire.Rule(name, wire.AdminOrSystemReader, wire.SystemProject, "See roles."))
	}
	return rules
}

type api struct{ s *Service }

// Routes are the operations on roles.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const one, implied = "/v3/roles/{id}", "/v3/roles/{id}/implies/{implied}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/roles", Rule: "identity:list_roles", Object: true, Handle: a.list},
		{Method: "POST", Path: "/v3/roles", Rule: "identity:create_role", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_role", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_role", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_role", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: one + "/implies", Rule: "identity:list_implied_roles", Handle: a.implies},
		{Method: "PUT", Path: implied, Rule: "identity:create_implied_role", Audit: "update", Handle: a.imply},
		{Method: "GET", Path: implied, Rule: "identity:get_implied_role", Handle: a.implied},
		{Method: "HEAD", Path: implied, Rule: "identity:check_implied_role", Handle: a.checkImplied},
		{Method: "DELETE", Path: implied, Rule: "identity:delete_implied_role", Audit: "update", Handle: a.unimply},
		{Method: "GET", Path: "/v3/role_inferences", Rule: "identity:list_role_inference_rules", Handle: a.inferences},
	}
}

// View is a role as the API shows it.
func View(c *rest.Call, r *identity.Role) map[string]any {
	options := map[string]any{}
	if r.Immutable != nil {
		options["immutable"] = *r.Immutable
	}
	return wire.With(map[string]any{"id": r.ID, "name": r.Name, "domain_id": wire.OrNull(r.DomainID), "description": wire.OrNull(r.Description),
		"options": options, "links": wire.Self(c, "/roles/"+r.ID)}, r.Extra)
}

func target(r *identity.Role) policy.Target {
	return policy.Target{"target.role.id": r.ID, "target.role.name": r.Name, "target.role.domain_id": domainOf(r)}
}

func domainOf(r *identity.Role) any {
	if r.DomainID == "" {
		return nil
	}
	return r.DomainID
}

// find loads a role and asks the rule; a domain's role has rules of its own.
func (a *api) find(c *rest.Call) (*identity.Role, error) {
	r, err := wire.Known(c, func() (*identity.Role, error) { return a.s.Get(c.Context(), c.Var("id")) }, target)
	if r == nil || r.DomainID == "" {
		return r, err
	}
	rule := strings.Replace(c.Rule(), "_role", "_domain_role", 1)
	if !c.Allow(rule, target(r)) {
		return nil, wire.Refuse(rule)
	}
	return r, nil
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(policy.Target{}); err != nil {
		return rest.Reply{}, err
	}
	l := wire.List[identity.Role]{Many: "roles", Filters: append(wire.Text("name", "name"), wire.Text("domain_id", "domain_id")[0]),
		Load: a.s.List, View: View, ID: func(r *identity.Role) string { return r.ID }}
	if c.Values().Get("domain_id") != "" {
		if !c.Allow("identity:list_domain_roles", policy.Target{}) {
			return rest.Reply{}, wire.Refuse("identity:list_domain_roles")
		}
		return l.Reply(c)
	}
	return l.Reply(c, listing.Term{Column: "domain_id", Op: listing.IsNull, Values: []any{true}})
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	r, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"role": View(c, r)})
}

type input struct {
	Name        string           `json:"name" v:"min=1,max=255,match=\\S"`
	DomainID    rest.Opt[string] `json:"domain_id" v:"max=64"`
	Description rest.Opt[string] `json:"description"`
	Options     *Options         `json:"options"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "role", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Authorize(policy.Target{}); err != nil && in.DomainID.V == "" {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("'name' is a required property")
	}
	if in.DomainID.V != "" && !c.Allow("identity:create_domain_role", policy.Target{"target.role.domain_id": in.DomainID.V}) {
		return rest.Reply{}, wire.Refuse("identity:create_domain_role")
	}
	r := identity.Role{Name: in.Name, DomainID: in.DomainID.V, Description: in.Description.V, Extra: extra}
	if in.Options != nil {
		r.Immutable = in.Options.Immutable
	}
	made, err := a.s.Create(c.Context(), r)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"role": View(c, made)})
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	r, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in input
	extra, err := wire.Body(c, "role", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.DomainID.Set && in.DomainID.V != r.DomainID {
		return rest.Reply{}, fault.Invalidf("Update of `domain_id` is not allowed.")
	}
	r, err = a.s.Update(c.Context(), r.ID, func(r *identity.Role) {
		if in.Name != "" {
			r.Name = in.Name
		}
		if in.Description.Set {
			r.Description = in.Description.V
		}
		if in.Options != nil {
			r.Immutable = in.Options.Immutable
		}
		r.Extra = wire.Merge(r.Extra, extra)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"role": View(c, r)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	r, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), r.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// brief is a role inside an inference.
func brief(c *rest.Call, r *identity.Role) map[string]any {
	return map[string]any{"id": r.ID, "name": r.Name, "description": wire.OrNull(r.Description), "domain_id": wire.OrNull(r.DomainID),
		"links": wire.Self(c, "/roles/"+r.ID)}
}

func (a *api) inference(c *rest.Call, prior *identity.Role, pairs [][2]string, all map[string]*identity.Role) map[string]any {
	implied := []map[string]any{}
	for _, p := range pairs {
		if r := all[p[1]]; p[0] == prior.ID && r != nil {
			implied = append(implied, brief(c, r))
		}
	}
	return map[string]any{"prior_role": brief(c, prior), "implies": implied}
}

func (a *api) implies(c *rest.Call) (rest.Reply, error) {
	prior, err := a.s.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	pairs, err := a.s.Implications(c.Context(), prior.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := a.s.All(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"role_inference": a.inference(c, prior, pairs, all), "links": wire.Self(c, "/roles/"+prior.ID+"/implies")})
}

func (a *api) inferences(c *rest.Call) (rest.Reply, error) {
	pairs, err := a.s.Implications(c.Context(), "")
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := a.s.All(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	out, seen := []map[string]any{}, map[string]bool{}
	for _, p := range pairs {
		if prior := all[p[0]]; prior != nil && !seen[p[0]] {
			seen[p[0]] = true
			out = append(out, a.inference(c, prior, pairs, all))
		}
	}
	return rest.OK(map[string]any{"role_inferences": out, "links": wire.Self(c, "/role_inferences")})
}

func (a *api) one(c *rest.Call) (map[string]any, error) {
	prior, err := a.s.Get(c.Context(), c.Var("id"))
	if err != nil {
		return nil, err
	}
	implied, err := a.s.Get(c.Context(), c.Var("implied"))
	if err != nil {
		return nil, err
	}
	return map[string]any{"role_inference": map[string]any{"prior_role": brief(c, prior), "implies": brief(c, implied)},
		"links": wire.Self(c, "/roles/"+prior.ID+"/implies/"+implied.ID)}, nil
}

func (a *api) imply(c *rest.Call) (rest.Reply, error) {
	if err := a.s.Imply(c.Context(), c.Var("id"), c.Var("implied")); err != nil {
		return rest.Reply{}, err
	}
	body, err := a.one(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(body)
}

func (a *api) exists(c *rest.Call) error {
	pairs, err := a.s.Implications(c.Context(), c.Var("id"))
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if p[1] == c.Var("implied") {
			return nil
		}
	}
	return notImplied(c.Var("id"), c.Var("implied"))
}

func (a *api) implied(c *rest.Call) (rest.Reply, error) {
	if err := a.exists(c); err != nil {
		return rest.Reply{}, err
	}
	body, err := a.one(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (a *api) checkImplied(c *rest.Call) (rest.Reply, error) {
	if err := a.exists(c); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) unimply(c *rest.Call) (rest.Reply, error) {
	if err := a.s.Unimply(c.Context(), c.Var("id"), c.Var("implied")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
