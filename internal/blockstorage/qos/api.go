package qos

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleCreate = "volume_extension:qos_specs_manage:create"
	ruleGet    = "volume_extension:qos_specs_manage:get"
	ruleGetAll = "volume_extension:qos_specs_manage:get_all"
	ruleUpdate = "volume_extension:qos_specs_manage:update"
	ruleDelete = "volume_extension:qos_specs_manage:delete"
)

// Rules are the policy rules of QoS specs, with upstream's names and defaults.
func Rules() []policy.Rule {
	return wire.Rules("QoS specs", map[string][]string{policy.Admin: {ruleCreate, ruleGet, ruleGetAll, ruleUpdate, ruleDelete}})
}

// Routes are the operations of QoS specs. Upstream associates by GET.
func (s *Qos) Routes() []rest.Route {
	a := api{s, table(s.store)}
	const one = "/v3/qos-specs/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/qos-specs", Rule: ruleGetAll, Handle: a.list},
		{Method: "POST", Path: "/v3/qos-specs", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: ruleGet, Handle: a.show},
		{Method: "PUT", Path: one, Rule: ruleUpdate, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: ruleDelete, Audit: "delete", Handle: a.remove},
		{Method: "PUT", Path: one + "/delete_keys", Rule: ruleDelete, Audit: "update", Handle: a.dropKeys},
		{Method: "GET", Path: one + "/associations", Rule: ruleGetAll, Handle: a.associations},
		{Method: "GET", Path: one + "/associate", Rule: ruleUpdate, Audit: "update", Handle: a.tie(true)},
		{Method: "GET", Path: one + "/disassociate", Rule: ruleUpdate, Audit: "update", Handle: a.tie(false)},
		{Method: "GET", Path: one + "/disassociate_all", Rule: ruleUpdate, Audit: "update", Handle: a.untie},
	}
}

type api struct {
	qos   *Qos
	table rest.Resource[spec]
}

func table(s store) rest.Resource[spec] {
	return rest.Resource[spec]{
		One: "qos_specs", Many: "qos_specs", Show: ruleGet, Store: s, NotFound: notFound,
		ID:     func(r *spec) string { return r.ID },
		Target: func(*spec) policy.Target { return policy.Target{} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[spec]{
			{Name: "id", Column: "id", Get: func(r *spec) any { return r.ID }},
			{Name: "name", Column: "name", Get: func(r *spec) any { return r.Name }},
			{Name: "consumer", Column: "consumer", Get: func(r *spec) any { return r.Consumer }},
			{Name: "specs", Get: func(r *spec) any {
				if r.Specs.V == nil {
					return map[string]string{}
				}
				return r.Specs.V
			}},
			{Name: "created_at", Column: "created_at", Kind: rest.Moment, Hidden: true, NoFilter: true},
		},
	}
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	skip, err := blockstorage.SkipTerm(c.Values().Get("offset"))
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := a.table.ListBody(c, skip...)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (a api) body(c *rest.Call, r *spec) map[string]any {
	out := a.table.Body(c, r)
	out["links"] = []map[string]string{{"rel": "self", "href": c.Link("/v3/" + c.Auth.ProjectID + "/qos-specs/" + r.ID)},
		{"rel": "bookmark", "href": c.Link("/" + c.Auth.ProjectID + "/qos-specs/" + r.ID)}}
	return out
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	r, err := a.qos.store.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.body(c, r))
}

// texts are specs as text: clients send numbers and booleans too.
func texts(in map[string]any) (map[string]string, error) {
	out := map[string]string{}
	for k, v := range in {
		switch t := v.(type) {
		case string:
			out[k] = t
		case float64:
			out[k] = strconv.FormatFloat(t, 'f', -1, 64)
		case bool:
			out[k] = strings.ToUpper(fmt.Sprint(t)[:1]) + fmt.Sprint(t)[1:]
		case nil:
			out[k] = ""
		default:
			return nil, fault.Invalidf("Invalid input for field/attribute qos_specs. Value of %s is not of type 'string'", k)
		}
	}
	return out, nil
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Specs map[string]any `json:"qos_specs" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	specs, err := texts(in.Specs)
	if err != nil {
		return rest.Reply{}, err
	}
	name := strings.TrimSpace(specs["name"])
	if _, isText := in.Specs["name"].(string); !isText || name == "" || len(name) > 255 {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute name. It needs 1 to 255 characters")
	}
	delete(specs, "name")
	r := &spec{Name: name}
	if r.Consumer, err = take(specs, defaultConsumer); err != nil {
		return rest.Reply{}, err
	}
	r.Specs = db.J(specs)
	if err := a.qos.create(c.Context(), r, c.Event("qos_specs", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.body(c, r))
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Specs map[string]any `json:"qos_specs" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	specs, err := texts(in.Specs)
	if err != nil {
		return rest.Reply{}, err
	}
	id := c.Var("id")
	err = a.qos.change(c.Context(), id, c.Event("qos_specs", id, ""), func(r *spec) (err error) {
		if r.Consumer, err = take(specs, r.Consumer); err != nil {
			return err
		}
		for k, v := range specs {
			r.Specs.V[k] = v
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"qos_specs": in.Specs})
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	text, force := c.Values().Get("force"), false
	if text != "" {
		var ok bool
		if force, ok = rest.ParseBool(text); !ok {
			return rest.Reply{}, fault.Invalidf("Invalid value for force: %q is not a boolean", text)
		}
	}
	id := c.Var("id")
	if err := a.qos.remove(c.Context(), id, force, c.Event("qos_specs", id, "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) dropKeys(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Keys []string `json:"keys" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	id := c.Var("id")
	err := a.qos.change(c.Context(), id, c.Event("qos_specs", id, ""), func(r *spec) error {
		for _, k := range in.Keys {
			if _, ok := r.Specs.V[k]; !ok {
				return fault.NotFoundf("QoS spec %s has no spec with key %s.", id, k)
			}
			delete(r.Specs.V, k)
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) associations(c *rest.Call) (rest.Reply, error) {
	if _, err := a.qos.store.Get(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	users, err := a.qos.types.OfQos(c.Context(), a.qos.store.db, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	list := make([]map[string]string, 0, len(users))
	for _, t := range users {
		list = append(list, map[string]string{"association_type": "volume_type", "name": t.Name, "id": t.ID})
	}
	return rest.OK(map[string]any{"qos_associations": list})
}

func (a api) tie(on bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		typeID, id := c.Values().Get("vol_type_id"), c.Var("id")
		if typeID == "" {
			return rest.Reply{}, fault.Invalidf("Volume Type id must not be None.")
		}
		if err := a.qos.tie(c.Context(), id, typeID, on, c.Event("qos_specs", id, "")); err != nil {
			return rest.Reply{}, err
		}
		return rest.Accepted(nil)
	}
}

func (a api) untie(c *rest.Call) (rest.Reply, error) {
	id := c.Var("id")
	if err := a.qos.untie(c.Context(), id, c.Event("qos_specs", id, "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
