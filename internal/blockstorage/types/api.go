package types

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleCreate       = "volume_extension:type_create"
	ruleUpdate       = "volume_extension:type_update"
	ruleDelete       = "volume_extension:type_delete"
	ruleGet          = "volume_extension:type_get"
	ruleGetAll       = "volume_extension:type_get_all"
	ruleSpecs        = "volume_extension:access_types_extra_specs"
	ruleQos          = "volume_extension:access_types_qos_specs_id"
	ruleSpecIndex    = "volume_extension:types_extra_specs:index"
	ruleSpecShow     = "volume_extension:types_extra_specs:show"
	ruleSpecCreate   = "volume_extension:types_extra_specs:create"
	ruleSpecUpdate   = "volume_extension:types_extra_specs:update"
	ruleSpecDelete   = "volume_extension:types_extra_specs:delete"
	ruleSpecSecret   = "volume_extension:types_extra_specs:read_sensitive"
	ruleAccess       = "volume_extension:volume_type_access"
	ruleAccessAll    = "volume_extension:volume_type_access:get_all_for_type"
	ruleAccessAdd    = "volume_extension:volume_type_access:addProjectAccess"
	ruleAccessRemove = "volume_extension:volume_type_access:removeProjectAccess"
	ruleDefaultSet   = "volume_extension:default_set_or_update"
	ruleDefaultGet   = "volume_extension:default_get"
	ruleDefaultAll   = "volume_extension:default_get_all"
	ruleDefaultUnset = "volume_extension:default_unset"
)

// Rules are the policy rules of types, with upstream's names and defaults.
func Rules() []policy.Rule {
	var out []policy.Rule
	for check, names := range map[string][]string{
		policy.ProjectReaderOrAdmin: {ruleGet, ruleGetAll, ruleSpecs, ruleSpecIndex, ruleSpecShow},
		policy.ProjectMemberOrAdmin: {ruleAccess},
		policy.Admin: {ruleCreate, ruleUpdate, ruleDelete, ruleQos, ruleSpecCreate, ruleSpecUpdate, ruleSpecDelete, ruleSpecSecret,
			ruleAccessAll, ruleAccessAdd, ruleAccessRemove, ruleDefaultSet, ruleDefaultGet, ruleDefaultAll, ruleDefaultUnset,
			ruleEncryptCreate, ruleEncryptGet, ruleEncryptUpdate, ruleEncryptDelete},
	} {
		for _, name := range names {
			out = append(out, policy.Rule{Name: name, Check: check, Description: "Volume types: " + name[strings.LastIndex(name, ":")+1:] + "."})
		}
	}
	return out
}

// visibleSpecs are the extra specs that everybody sees.
var visibleSpecs = []string{zonesSpec, "multiattach", "replication_enabled"}

// Routes are the operations of types.
func (s *Types) Routes() []rest.Route {
	a := api{types: s, table: table(s.store)}
	a.created = without(a.table, "qos_specs_id")
	a.updated = without(a.created, "os-volume-type-access:is_public")
	return append(a.encryptionRoutes(), []rest.Route{
		{Method: "GET", Path: "/v3/types", Rule: ruleGetAll, Handle: a.list},
		{Method: "POST", Path: "/v3/types", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v3/types/default", Rule: ruleGet, Handle: a.showDefault},
		{Method: "GET", Path: "/v3/types/{id}", Rule: ruleGet, Handle: a.show},
		{Method: "PUT", Path: "/v3/types/{id}", Rule: ruleUpdate, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v3/types/{id}", Rule: ruleDelete, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v3/types/{id}/extra_specs", Rule: ruleSpecIndex, Handle: a.specs},
		{Method: "POST", Path: "/v3/types/{id}/extra_specs", Rule: ruleSpecCreate, Audit: "update", Handle: a.addSpecs},
		{Method: "GET", Path: "/v3/types/{id}/extra_specs/{key}", Rule: ruleSpecShow, Handle: a.spec},
		{Method: "PUT", Path: "/v3/types/{id}/extra_specs/{key}", Rule: ruleSpecUpdate, Audit: "update", Handle: a.setSpec},
		{Method: "DELETE", Path: "/v3/types/{id}/extra_specs/{key}", Rule: ruleSpecDelete, Audit: "update", Handle: a.dropSpec},
		{Method: "GET", Path: "/v3/types/{id}/os-volume-type-access", Rule: ruleAccessAll, Handle: a.access},
		{Method: "POST", Path: "/v3/types/{id}/action", Actions: map[string]rest.Action{
			"addProjectAccess":    {Rule: ruleAccessAdd, Handle: a.grant},
			"removeProjectAccess": {Rule: ruleAccessRemove, Handle: a.withdraw},
		}},
		{Method: "GET", Path: "/v3/default-types", Rule: ruleDefaultAll, Since: blockstorage.DefaultTypes, Handle: a.defaults},
		{Method: "GET", Path: "/v3/default-types/{project}", Rule: ruleDefaultGet, Since: blockstorage.DefaultTypes, Handle: a.defaultOf},
		{Method: "PUT", Path: "/v3/default-types/{project}", Rule: ruleDefaultSet, Audit: "update", Since: blockstorage.DefaultTypes, Handle: a.setDefault},
		{Method: "DELETE", Path: "/v3/default-types/{project}", Rule: ruleDefaultUnset, Audit: "delete", Since: blockstorage.DefaultTypes, Handle: a.unsetDefault},
	}...)
}

type api struct {
	types *Types
	table rest.Resource[blockstorage.Type]
	// upstream's answers to creation and update leave some members out
	created, updated rest.Resource[blockstorage.Type]
}

func without(t rest.Resource[blockstorage.Type], name string) rest.Resource[blockstorage.Type] {
	t.Fields = slices.DeleteFunc(slices.Clone(t.Fields), func(f rest.Field[blockstorage.Type]) bool { return f.Name == name })
	return t
}

func table(s store) rest.Resource[blockstorage.Type] {
	return rest.Resource[blockstorage.Type]{
		One: "volume_type", Many: "volume_types", Show: ruleGet, Store: s,
		ID:     func(t *blockstorage.Type) string { return t.ID },
		Target: func(*blockstorage.Type) policy.Target { return policy.Target{} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[blockstorage.Type]{
			{Name: "id", Column: "id", Get: func(t *blockstorage.Type) any { return t.ID }},
			{Name: "name", Column: "name", Get: func(t *blockstorage.Type) any { return t.Name }},
			{Name: "description", Column: "description", Get: func(t *blockstorage.Type) any { return blockstorage.OrNull(t.Description, t.NoDescribed) }},
			{Name: "is_public", Get: func(t *blockstorage.Type) any { return t.Public }},
			{Name: "created_at", Column: "created_at", Kind: rest.Moment, Hidden: true},
			{Name: "os-volume-type-access:is_public", Get: func(t *blockstorage.Type) any { return t.Public }},
			{Name: "extra_specs", With: shownSpecs},
			{Name: "qos_specs_id", Rule: ruleQos, Get: func(t *blockstorage.Type) any { return blockstorage.NullIfEmpty(t.QosID) }},
		},
	}
}

func shownSpecs(c *rest.Call, t *blockstorage.Type) any {
	if c.Allow(ruleSpecSecret, c.Caller()) {
		return t.ExtraSpecs
	}
	out := map[string]string{}
	for _, k := range visibleSpecs {
		if v, ok := t.ExtraSpecs[k]; ok {
			out[k] = v
		}
	}
	return out
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.CheckFilters(c, "volume_type"); err != nil {
		return rest.Reply{}, err
	}
	terms := []listing.Term{{Column: usableBy, Values: []any{c.Auth.ProjectID}}}
	if text := c.Values().Get("is_public"); text != "" && c.Allow(ruleAccessAll, c.Caller()) {
		if strings.EqualFold(text, "none") {
			terms = nil
		} else {
			public, ok := rest.ParseBool(text)
			if !ok {
				return rest.Reply{}, fault.Invalidf("Invalid is_public filter [%s]", text)
			}
			if !public {
				terms = []listing.Term{{Column: "is_public", Values: []any{false}}}
			}
		}
	}
	bySpecs, err := a.bySpecs(c)
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := a.table.ListBody(c, append(terms, bySpecs...)...)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

// find loads a type that the caller may use.
func (a api) find(c *rest.Call) (*blockstorage.Type, error) {
	return a.types.Resolve(c.Context(), c.Var("id"), c.Auth.ProjectID, c.Allow(ruleAccessAll, c.Caller()))
}

func (a api) showDefault(c *rest.Call) (rest.Reply, error) {
	t, err := a.types.Default(c.Context(), c.Auth.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.table.Body(c, t))
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.table.Body(c, t))
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Type struct {
			Name        string              `json:"name" v:"required,min=1,max=255"`
			Description rest.Opt[string]    `json:"description" v:"max=255"`
			Specs       map[string]string   `json:"extra_specs"`
			Public      rest.Opt[rest.Bool] `json:"os-volume-type-access:is_public"`
		} `json:"volume_type" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := checkSpecs(in.Type.Specs); err != nil {
		return rest.Reply{}, err
	}
	t := &blockstorage.Type{Name: in.Type.Name, Description: in.Type.Description.V, NoDescribed: !in.Type.Description.Set || in.Type.Description.Null,
		Public: bool(in.Type.Public.Or(true)), ExtraSpecs: in.Type.Specs}
	if t.ExtraSpecs == nil {
		t.ExtraSpecs = map[string]string{}
	}
	if err := a.types.create(c.Context(), t, c.Event("volume_type", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.created.Body(c, t))
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Type struct {
			Name        rest.Opt[string]    `json:"name" v:"max=255"`
			Description rest.Opt[string]    `json:"description" v:"max=255"`
			Public      rest.Opt[rest.Bool] `json:"is_public"`
		} `json:"volume_type" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	has := func(set, null bool) bool { return set && !null }
	name, text, public := in.Type.Name, in.Type.Description, in.Type.Public
	if !has(name.Set, name.Null) && !has(text.Set, text.Null) && !has(public.Set, public.Null) {
		return rest.Reply{}, fault.Invalidf("Specify volume type name, description, is_public or a combination thereof.")
	}
	t, err := a.types.change(c.Context(), c.Var("id"), c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		if has(name.Set, name.Null) {
			if t.Name = strings.TrimSpace(name.V); t.Name == "" {
				return fault.Invalidf("Volume type name can not be empty.")
			}
		}
		if has(text.Set, text.Null) {
			t.Description, t.NoDescribed = text.V, false
		}
		t.Public = bool(public.Or(rest.Bool(t.Public)))
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.updated.Body(c, t))
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	if err := a.types.remove(c.Context(), c.Var("id"), c.Event("volume_type", c.Var("id"), "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
