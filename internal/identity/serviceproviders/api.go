package serviceproviders

import (
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// relayState is upstream's default of [saml] relay_state_prefix.
const relayState = "ss:mem:"

// Rules are upstream's rules for service providers.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("create_service_provider", wire.AdminRequired, wire.SystemProject, "Create a service provider."),
		wire.Rule("list_service_providers", wire.AdminOrSystemReader, wire.SystemProject, "List service providers."),
		wire.Rule("get_service_provider", wire.AdminOrSystemReader, wire.SystemProject, "Show a service provider."),
		wire.Rule("update_service_provider", wire.AdminRequired, wire.SystemProject, "Change a service provider."),
		wire.Rule("delete_service_provider", wire.AdminRequired, wire.SystemProject, "Delete a service provider."),
	}
}

type api struct{ s *Service }

// Routes are the operations on service providers.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const all, one = "/v3/OS-FEDERATION/service_providers", "/v3/OS-FEDERATION/service_providers/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "identity:list_service_providers", Handle: a.list},
		{Method: "PUT", Path: one, Rule: "identity:create_service_provider", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_service_provider", Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_service_provider", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_service_provider", Audit: "delete", Handle: a.delete},
	}
}

func view(c *rest.Call, p *identity.ServiceProvider) map[string]any {
	return map[string]any{"id": p.ID, "auth_url": p.AuthURL, "sp_url": p.SPURL, "relay_state_prefix": p.RelayStatePrefix,
		"description": p.Description, "enabled": p.Enabled,
		"links": map[string]any{"self": wire.ChosenLink(c, "OS-FEDERATION", "service_providers", p.ID)}}
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.ServiceProvider]{Many: "service_providers", Filters: slices.Concat(wire.Text("id", "id"), []rest.Filter{wire.Flag("enabled", "enabled")}),
		Load: a.s.List, View: view, ID: func(p *identity.ServiceProvider) string { return p.ID }}.Reply(c)
}

type input struct {
	AuthURL          string           `json:"auth_url" v:"max=225,match=^[a-zA-Z0-9+.-]+:[^[:cntrl:][:space:]]+$"`
	SPURL            string           `json:"sp_url" v:"max=225,match=^[a-zA-Z0-9+.-]+:[^[:cntrl:][:space:]]+$"`
	RelayStatePrefix rest.Opt[string] `json:"relay_state_prefix" v:"max=256,match=^[^[:cntrl:]]*$"`
	Description      rest.Opt[string] `json:"description" v:"max=65535"`
	Enabled          *bool            `json:"enabled"`
}

func (in input) over(p *identity.ServiceProvider) {
	if in.AuthURL != "" {
		p.AuthURL = in.AuthURL
	}
	if in.SPURL != "" {
		p.SPURL = in.SPURL
	}
	if in.RelayStatePrefix.Set {
		p.RelayStatePrefix = in.RelayStatePrefix.Or(relayState)
	}
	if in.Description.Set {
		p.Description = nil
		if !in.Description.Null {
			p.Description = &in.Description.V
		}
	}
	if in.Enabled != nil {
		p.Enabled = *in.Enabled
	}
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	if err := wire.Strict(c, "service_provider", &in); err != nil {
		return rest.Reply{}, err
	}
	switch {
	case in.AuthURL == "":
		return rest.Reply{}, fault.Invalidf("'auth_url' is a required property")
	case in.SPURL == "":
		return rest.Reply{}, fault.Invalidf("'sp_url' is a required property")
	}
	id, err := wire.Chosen(c, "id")
	if err != nil {
		return rest.Reply{}, err
	}
	p := identity.ServiceProvider{ID: id, RelayStatePrefix: relayState}
	in.over(&p)
	return wire.Made(c, "service_provider", view)(a.s.Create(c.Context(), p))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "service_provider", view)(a.s.Get(c.Context(), c.Var("id")))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	var in input
	if err := wire.Strict(c, "service_provider", &in); err != nil {
		return rest.Reply{}, err
	}
	if in == (input{}) {
		return rest.Reply{}, fault.Invalidf("Invalid input for field 'service_provider': it does not have enough properties")
	}
	return wire.Shown(c, "service_provider", view)(a.s.Update(c.Context(), c.Var("id"), in.over))
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Delete(c.Context(), c.Var("id")))
}
