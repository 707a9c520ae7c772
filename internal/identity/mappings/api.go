package mappings

import (
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for mappings.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("create_mapping", wire.AdminRequired, wire.SystemProject, "Create a federated mapping."),
		wire.Rule("get_mapping", wire.AdminOrSystemReader, wire.SystemProject, "Show a federated mapping."),
		wire.Rule("list_mappings", wire.AdminOrSystemReader, wire.SystemProject, "List federated mappings."),
		wire.Rule("update_mapping", wire.AdminRequired, wire.SystemProject, "Change a federated mapping."),
		wire.Rule("delete_mapping", wire.AdminRequired, wire.SystemProject, "Delete a federated mapping."),
	}
}

type api struct{ s *Service }

// Routes are the operations on mappings.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const all, one = "/v3/OS-FEDERATION/mappings", "/v3/OS-FEDERATION/mappings/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "identity:list_mappings", Handle: a.list},
		{Method: "PUT", Path: one, Rule: "identity:create_mapping", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_mapping", Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_mapping", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_mapping", Audit: "delete", Handle: a.delete},
	}
}

func view(c *rest.Call, m *identity.Mapping) map[string]any {
	return map[string]any{"id": m.ID, "rules": m.Rules, "schema_version": m.SchemaVersion,
		"links": map[string]any{"self": wire.ChosenLink(c, "OS-FEDERATION", "mappings", m.ID)}}
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Mapping]{Many: "mappings", Load: a.s.List, View: view, ID: func(m *identity.Mapping) string { return m.ID }}.Reply(c)
}

type input struct {
	Rules         json.RawMessage  `json:"rules"`
	SchemaVersion rest.Opt[string] `json:"schema_version"`
}

// read gives the mapping that the body describes.
func read(c *rest.Call) (m identity.Mapping, err error) {
	var in input
	if err := wire.Strict(c, "mapping", &in); err != nil {
		return m, err
	}
	if in.Rules == nil {
		return m, fault.Invalidf("'rules' is a required property")
	}
	m.ID, err = wire.Chosen(c, "id")
	m.Rules, m.SchemaVersion = in.Rules, in.SchemaVersion.V
	return m, err
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	m, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Made(c, "mapping", view)(a.s.Create(c.Context(), m))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "mapping", view)(a.s.Get(c.Context(), c.Var("id")))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	m, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Shown(c, "mapping", view)(a.s.Update(c.Context(), m))
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Delete(c.Context(), c.Var("id")))
}
