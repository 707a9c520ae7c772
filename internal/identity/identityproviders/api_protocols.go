package identityproviders

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

func protocolView(c *rest.Call, p *identity.Protocol) map[string]any {
	out := map[string]any{"id": p.ID, "mapping_id": p.MappingID,
		"links": map[string]any{"self": wire.ChosenLink(c, "OS-FEDERATION", "identity_providers", p.IdentityProviderID, "protocols", p.ID),
			"identity_provider": wire.ChosenLink(c, "OS-FEDERATION", "identity_providers", p.IdentityProviderID)}}
	if p.RemoteIDAttribute != nil {
		out["remote_id_attribute"] = *p.RemoteIDAttribute
	}
	return out
}

// listedView has what upstream shows in lists only.
func listedView(c *rest.Call, p *identity.Protocol) map[string]any {
	out := protocolView(c, p)
	out["idp_id"], out["remote_id_attribute"] = p.IdentityProviderID, p.RemoteIDAttribute
	return out
}

func (a *api) protocols(c *rest.Call) (rest.Reply, error) {
	return wire.Listed(c, "protocols", listedView)(a.s.Protocols(c.Context(), c.Var("idp")))
}

type protocolInput struct {
	MappingID         string           `json:"mapping_id" v:"min=1,max=64"`
	RemoteIDAttribute rest.Opt[string] `json:"remote_id_attribute" v:"max=64"`
}

// readProtocol gives the protocol that path and body describe.
func readProtocol(c *rest.Call) (p identity.Protocol, null bool, err error) {
	var in protocolInput
	if err := wire.Strict(c, "protocol", &in); err != nil {
		return p, false, err
	}
	if in.MappingID == "" {
		return p, false, fault.Invalidf("'mapping_id' is a required property")
	}
	p = identity.Protocol{IdentityProviderID: c.Var("idp"), MappingID: in.MappingID, RemoteIDAttribute: pointer(in.RemoteIDAttribute)}
	p.ID, err = wire.Chosen(c, "protocol")
	return p, in.RemoteIDAttribute.Null, err
}

func (a *api) addProtocol(c *rest.Call) (rest.Reply, error) {
	p, _, err := readProtocol(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Made(c, "protocol", protocolView)(a.s.AddProtocol(c.Context(), p))
}

func (a *api) protocol(c *rest.Call) (rest.Reply, error) {
	return wire.Shown(c, "protocol", protocolView)(a.s.Protocol(c.Context(), c.Var("idp"), c.Var("protocol")))
}

func (a *api) updateProtocol(c *rest.Call) (rest.Reply, error) {
	p, null, err := readProtocol(c)
	if err == nil && null {
		err = fault.Invalidf("Invalid input for field 'remote_id_attribute': null is not allowed here")
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Shown(c, "protocol", protocolView)(a.s.UpdateProtocol(c.Context(), p))
}

func (a *api) deleteProtocol(c *rest.Call) (rest.Reply, error) {
	return wire.Done(a.s.DeleteProtocol(c.Context(), c.Var("idp"), c.Var("protocol")))
}
