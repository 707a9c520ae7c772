package grouptypes

import (
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleCreate     = "group:group_types:create"
	ruleUpdate     = "group:group_types:update"
	ruleDelete     = "group:group_types:delete"
	ruleGet        = "group:group_types:get" // ours: upstream asks nothing
	ruleSpecs      = "group:access_group_types_specs"
	ruleSpecGet    = "group:group_types_specs:get"
	ruleSpecGetAll = "group:group_types_specs:get_all"
	ruleSpecCreate = "group:group_types_specs:create"
	ruleSpecUpdate = "group:group_types_specs:update"
	ruleSpecDelete = "group:group_types_specs:delete"
)

// Rules are the policy rules of group types, with upstream's names and defaults.
func Rules() []policy.Rule {
	out := []policy.Rule{{Name: ruleGet, Check: policy.Any, Description: "Look at group types."}}
	for _, name := range []string{ruleCreate, ruleUpdate, ruleDelete, ruleSpecs, ruleSpecGet, ruleSpecGetAll, ruleSpecCreate, ruleSpecUpdate, ruleSpecDelete} {
		out = append(out, policy.Rule{Name: name, Check: policy.Admin, Description: "Group types: " + name[strings.Index(name, ":")+1:] + "."})
	}
	return out
}

// Routes are the operations of group types.
func (s *Types) Routes() []rest.Route {
	a, since := api{s, table(s.store)}, blockstorage.GroupTypes
	const one, specs = "/v3/group_types/{id}", "/v3/group_types/{id}/group_specs"
	return []rest.Route{
		{Method: "GET", Path: "/v3/group_types", Rule: ruleGet, Since: since, Handle: a.list},
		{Method: "POST", Path: "/v3/group_types", Rule: ruleCreate, Audit: "create", Since: since, Handle: a.create},
		{Method: "GET", Path: "/v3/group_types/default", Rule: ruleGet, Since: since, Handle: a.showDefault},
		{Method: "GET", Path: one, Rule: ruleGet, Since: since, Handle: a.table.Read},
		{Method: "PUT", Path: one, Rule: ruleUpdate, Audit: "update", Since: since, Handle: a.update},
		{Method: "DELETE", Path: one, Rule: ruleDelete, Audit: "delete", Since: since, Handle: a.remove},
		{Method: "GET", Path: specs, Rule: ruleSpecGetAll, Since: since, Handle: a.specs},
		{Method: "POST", Path: specs, Rule: ruleSpecCreate, Audit: "update", Since: since, Handle: a.addSpecs},
		{Method: "GET", Path: specs + "/{key}", Rule: ruleSpecGet, Since: since, Handle: a.spec},
		{Method: "PUT", Path: specs + "/{key}", Rule: ruleSpecUpdate, Audit: "update", Since: since, Handle: a.setSpec},
		{Method: "DELETE", Path: specs + "/{key}", Rule: ruleSpecDelete, Audit: "update", Since: since, Handle: a.dropSpec},
	}
}

type groupType = blockstorage.GroupType

type api struct {
	types *Types
	table rest.Resource[groupType]
}

func table(s store) rest.Resource[groupType] {
	return rest.Resource[groupType]{
		One: "group_type", Many: "group_types", Show: ruleGet, Store: s, NotFound: notFound,
		ID:     func(t *groupType) string { return t.ID },
		Target: func(*groupType) policy.Target { return policy.Target{} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[groupType]{
			{Name: "id", Column: "id", NoFilter: true, Get: func(t *groupType) any { return t.ID }},
			{Name: "name", Column: "name", NoFilter: true, Get: func(t *groupType) any { return t.Name }},
			{Name: "description", Column: "description", NoFilter: true, Get: func(t *groupType) any { return blockstorage.OrNull(t.Description, t.NoDescribed) }},
			{Name: "is_public", Get: func(t *groupType) any { return t.Public }},
			{Name: "created_at", Column: "created_at", Kind: rest.Moment, Hidden: true, NoFilter: true},
			{Name: "group_specs", Rule: ruleSpecs, Get: func(t *groupType) any { return t.Specs }},
		},
	}
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	terms := []listing.Term{{Column: "is_public", Values: []any{true}}}
	if c.Allow(ruleSpecs, c.Caller()) {
		text := c.Values().Get("is_public")
		switch public, ok := rest.ParseBool(text); {
		case strings.EqualFold(text, "none"):
			terms = nil
		case text != "" && !ok:
			return rest.Reply{}, fault.Invalidf("Invalid is_public filter [%s]", text)
		case text != "":
			terms[0].Values = []any{public}
		}
	}
	skip, err := blockstorage.SkipTerm(c.Values().Get("offset"))
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := a.table.ListBody(c, append(terms, skip...)...)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

// showDefault: there is no default; an operator cannot name one.
func (a api) showDefault(*rest.Call) (rest.Reply, error) {
	return rest.Reply{}, fault.NotFoundf("Default group type can not be found.")
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Type struct {
			Name        string              `json:"name" v:"required,min=1,max=255"`
			Description rest.Opt[string]    `json:"description" v:"max=255"`
			Public      rest.Opt[rest.Bool] `json:"is_public"`
			Specs       map[string]any      `json:"group_specs" v:"null"`
		} `json:"group_type" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	specs, err := readSpecs(in.Type.Specs)
	if err != nil {
		return rest.Reply{}, err
	}
	t := &groupType{Name: in.Type.Name, Description: in.Type.Description.V, NoDescribed: !in.Type.Description.Set || in.Type.Description.Null,
		Public: bool(in.Type.Public.Or(true)), Specs: specs}
	if err := a.types.create(c.Context(), t, c.Event("group_type", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.table.Body(c, t))
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Type struct {
			Name        rest.Opt[string]    `json:"name" v:"max=255"`
			Description rest.Opt[string]    `json:"description" v:"max=255"`
			Public      rest.Opt[rest.Bool] `json:"is_public"`
		} `json:"group_type" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	name, text, public := in.Type.Name, in.Type.Description, in.Type.Public
	named, described := name.Set && !name.Null, text.Set && !text.Null
	if !named && !described && (!public.Set || public.Null) {
		return rest.Reply{}, fault.Invalidf("Specify group type name, description or a combination thereof.")
	}
	t, err := a.types.change(c.Context(), c.Var("id"), c.Event("group_type", c.Var("id"), ""), func(t *groupType) error {
		if named {
			if t.Name = strings.TrimSpace(name.V); t.Name == "" {
				return fault.Invalidf("Group type name can not be empty.")
			}
		}
		if described {
			t.Description, t.NoDescribed = text.V, false
		}
		t.Public = bool(public.Or(rest.Bool(t.Public)))
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.table.Body(c, t))
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	if err := a.types.remove(c.Context(), c.Var("id"), c.Event("group_type", c.Var("id"), "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
