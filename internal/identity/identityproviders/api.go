package identityproviders

import (
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// maxRemoteID bounds a remote id, in characters.
const maxRemoteID = 255

// Rules are upstream's rules for identity providers and protocols.
func Rules() []policy.Rule {
	var rules []policy.Rule
	for _, thing := range []struct{ one, many, words string }{{"identity_provider", "identity_providers", "identity providers"}, {"protocol", "protocols", "federated protocols"}} {
		for _, name := range []string{"get_" + thing.one, "list_" + thing.many} {
			rules = append(rules, wire.Rule(name, wire.AdminOrSystemReader, wire.SystemProject, "Look at "+thing.words+"."))
		}
		for _, verb := range []string{"create_", "update_", "delete_"} {
			rules = append(rules, wire.Rule(verb+thing.one, wire.AdminRequired, wire.SystemProject, "Change "+thing.words+"."))
		}
	}
	return rules
}

type api struct{ s *Service }

// Routes are the operations on identity providers and protocols.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const all, one = "/v3/OS-FEDERATION/identity_providers", "/v3/OS-FEDERATION/identity_providers/{id}"
	const protocols, protocol = "/v3/OS-FEDERATION/identity_providers/{idp}/protocols", "/v3/OS-FEDERATION/identity_providers/{idp}/protocols/{protocol}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: "identity:list_identity_providers", Handle: a.list},
		{Method: "PUT", Path: one, Rule: "identity:create_identity_provider", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_identity_provider", Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_identity_provider", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_identity_provider", Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: protocols, Rule: "identity:list_protocols", Handle: a.protocols},
		{Method: "PUT", Path: protocol, Rule: "identity:create_protocol", Audit: "create", Handle: a.addProtocol},
		{Method: "GET", Path: protocol, Rule: "identity:get_protocol", Handle: a.protocol},
		{Method: "PATCH", Path: protocol, Rule: "identity:update_protocol", Audit: "update", Handle: a.updateProtocol},
		{Method: "DELETE", Path: protocol, Rule: "identity:delete_protocol", Audit: "delete", Handle: a.deleteProtocol},
	}
}

func view(c *rest.Call, p *identity.IdentityProvider) map[string]any {
	remote := p.RemoteIDs
	if remote == nil {
		remote = []string{}
	}
	return map[string]any{"id": p.ID, "domain_id": p.DomainID, "enabled": p.Enabled, "description": p.Description,
		"authorization_ttl": p.AuthorizationTTL, "remote_ids": remote,
		"links": map[string]any{"self": wire.ChosenLink(c, "OS-FEDERATION", "identity_providers", p.ID),
			"protocols": wire.ChosenLink(c, "OS-FEDERATION", "identity_providers", p.ID, "protocols")}}
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.IdentityProvider]{Many: "identity_providers", Filters: slices.Concat(wire.Text("id", "id"), []rest.Filter{wire.Flag("enabled", "enabled")}),
		Load: a.s.Page, View: view, ID: func(p *identity.IdentityProvider) string { return p.ID }}.Reply(c)
}

type input struct {
	DomainID    rest.Opt[string] `json:"domain_id" v:"min=1,max=64,match=^[a-zA-Z0-9-]+$"`
	Description rest.Opt[string] `json:"description" v:"max=65535"`
	Enabled     *bool            `json:"enabled"`
	// Minutes of a century at most: as a duration it must not overflow.
	AuthorizationTTL rest.Opt[int]      `json:"authorization_ttl" v:"min=0,max=52560000"`
	RemoteIDs        rest.Opt[[]string] `json:"remote_ids" v:"max=255"`
}

// read decodes the body and checks what no tag can.
func read(c *rest.Call) (in input, err error) {
	if err := wire.Strict(c, "identity_provider", &in); err != nil {
		return in, err
	}
	slices.Sort(in.RemoteIDs.V)
	for i, remote := range in.RemoteIDs.V {
		if i > 0 && remote == in.RemoteIDs.V[i-1] {
			return in, fault.Invalidf("Invalid input for field 'remote_ids': it has non-unique elements")
		}
		if err := wire.Plain("remote_ids", remote, maxRemoteID); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (in input) over(p *identity.IdentityProvider) {
	if in.Description.Set {
		p.Description = pointer(in.Description)
	}
	if in.Enabled != nil {
		p.Enabled = *in.Enabled
	}
	if in.AuthorizationTTL.Set {
		p.AuthorizationTTL = pointer(in.AuthorizationTTL)
	}
	if in.RemoteIDs.Set {
		p.RemoteIDs = in.RemoteIDs.V
	}
}

func pointer[T any](o rest.Opt[T]) *T {
	if !o.Set || o.Null {
		return nil
	}
	return &o.V
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	in, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	id, err := wire.Chosen(c, "id")
	if err != nil {
		return rest.Reply{}, err
	}
	p := identity.IdentityProvider{ID: id, DomainID: in.DomainID.V}
	in.over(&p)
	return wire.Made(c, "identity_provider", view)(a.s.Create(c.Context(), p))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "identity_provider", view)(a.s.Get(c.Context(), c.Var("id")))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	in, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	switch {
	case in.DomainID.Set:
		return rest.Reply{}, fault.Invalidf("Additional properties are not allowed ('domain_id' was unexpected)")
	case in.Enabled == nil && !in.Description.Set && !in.AuthorizationTTL.Set && !in.RemoteIDs.Set:
		return rest.Reply{}, fault.Invalidf("Invalid input for field 'identity_provider': it does not have enough properties")
	}
	return wire.Shown(c, "identity_provider", view)(a.s.Update(c.Context(), c.Var("id"), in.over))
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.Delete(c.Context(), c.Var("id")))
}
