package users

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// federatedInput is the member federated of a user's body.
type federatedInput struct {
	ProviderID string `json:"idp_id" v:"required,min=1,max=64"`
	Protocols  []struct {
		ProtocolID string `json:"protocol_id" v:"required,min=1,max=64"`
		UniqueID   string `json:"unique_id" v:"required,min=1,max=255"`
	} `json:"protocols" v:"required"`
}

// names reads the names by which providers know a user. Forbidden from whoever may
// not change providers, as managers of a domain: a user with the name of another one
// gets what the provider's word gives to that one.
func names(c *rest.Call, in *[]federatedInput) ([]identity.FederatedIdentity, error) {
	if in == nil {
		return nil, nil
	}
	var out []identity.FederatedIdentity
	for _, provider := range *in {
		for _, p := range provider.Protocols {
			out = append(out, identity.FederatedIdentity{ProviderID: provider.ProviderID, ProtocolID: p.ProtocolID, UniqueID: p.UniqueID})
		}
	}
	if len(out) > 0 && !c.Allow("identity:update_identity_provider", policy.Target{}) {
		return nil, fault.Forbiddenf("You are not authorized to say under which names identity providers know a user.")
	}
	return out, nil
}

// federatedView groups the names of a user by who gave them.
func federatedView(list []identity.FederatedIdentity) []map[string]any {
	out, of := []map[string]any{}, map[string][]map[string]any{}
	for _, f := range list {
		if _, seen := of[f.ProviderID]; !seen {
			out = append(out, map[string]any{"idp_id": f.ProviderID})
		}
		of[f.ProviderID] = append(of[f.ProviderID], map[string]any{"protocol_id": f.ProtocolID, "unique_id": f.UniqueID})
	}
	for _, provider := range out {
		provider["protocols"] = of[provider["idp_id"].(string)]
	}
	return out
}

// askedFor are the parts of a federated name that a list of users is narrowed to.
func askedFor(c *rest.Call) (f identity.FederatedIdentity, some bool) {
	v := c.Values()
	f = identity.FederatedIdentity{ProviderID: v.Get("idp_id"), ProtocolID: v.Get("protocol_id"), UniqueID: v.Get("unique_id")}
	return f, f != identity.FederatedIdentity{}
}
