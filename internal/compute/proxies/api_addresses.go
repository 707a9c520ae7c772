package proxies

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleAddFixed     = "os_compute_api:os-multinic:add"
	ruleDropFixed    = "os_compute_api:os-multinic:remove"
	ruleAddFloating  = "os_compute_api:os-floating-ips:add"
	ruleDropFloating = "os_compute_api:os-floating-ips:remove"
)

// noAddressActions is the version in which servers lost their address actions.
const noAddressActions = microversion.Version(2044)

// AddressRules are the policy rules of the address actions, as upstream has them.
func AddressRules() []policy.Rule {
	var out []policy.Rule
	for _, name := range []string{ruleAddFixed, ruleDropFixed, ruleAddFloating, ruleDropFloating} {
		out = append(out, policy.Rule{Name: name, Check: policy.ProjectMemberOrAdmin, Scopes: []string{"project"}, Description: "Addresses of servers, by way of Nova."})
	}
	return out
}

// AddressActions give servers addresses and take them away, until 2.44.
func (n *Networks) AddressActions(find Find) map[string]rest.Action {
	a := api{n, find}
	return map[string]rest.Action{
		"addFixedIp":       {Rule: ruleAddFixed, Until: noAddressActions, Handle: a.addFixed},
		"removeFixedIp":    {Rule: ruleDropFixed, Until: noAddressActions, Handle: a.dropFixed},
		"addFloatingIp":    {Rule: ruleAddFloating, Until: noAddressActions, Handle: a.floating},
		"removeFloatingIp": {Rule: ruleDropFloating, Until: noAddressActions, Handle: a.floating},
	}
}

func (a api) addFixed(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Network string `json:"networkId" v:"required,min=1,max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := a.networks.addFixed(c.Context(), token(c), server.ID, in.Network); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) dropFixed(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Address string `json:"address" v:"required,min=1,max=45"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := a.networks.dropFixed(c.Context(), token(c), server.ID, in.Address); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) floating(c *rest.Call) (rest.Reply, error) {
	server, err := a.find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Address string           `json:"address" v:"required,min=1,max=45"`
		Fixed   rest.Opt[string] `json:"fixed_address"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	target := server.ID
	if c.Action == "removeFloatingIp" {
		target = ""
		if err := a.networks.leadsTo(c.Context(), token(c), server.ID, in.Address); err != nil {
			return rest.Reply{}, err
		}
	}
	err = a.networks.associate(c.Context(), token(c), target, in.Address, in.Fixed.V)
	if fault.Is(err, fault.Conflict) { // the fixed address has one already
		err = fault.Invalidf("%s", fault.As(err).Text)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
