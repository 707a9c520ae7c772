package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) interfaceRoutes() []rest.Route {
	const all, one = "/v2.1/servers/{id}/os-interface", "/v2.1/servers/{id}/os-interface/{port}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: ruleCards + "list", Object: true, Handle: a.interfaces},
		{Method: "POST", Path: all, Rule: ruleCards + "create", Object: true, Audit: "attach_interface", Handle: a.attachInterface},
		{Method: "GET", Path: one, Rule: ruleCards + "show", Object: true, Handle: a.interfaceOf},
		{Method: "DELETE", Path: one, Rule: ruleCards + "delete", Object: true, Audit: "detach_interface", Handle: a.detachInterface},
	}
}

func cardView(c *rest.Call, card network.Interface) map[string]any {
	fixed := []map[string]string{}
	for _, a := range card.Addresses {
		if !a.Floating {
			fixed = append(fixed, map[string]string{"ip_address": a.Address, "subnet_id": a.SubnetID})
		}
	}
	state := "DOWN"
	if card.Active {
		state = "ACTIVE"
	}
	out := map[string]any{"port_id": card.PortID, "net_id": card.NetworkID, "mac_addr": card.MAC, "port_state": state, "fixed_ips": fixed}
	if c.At(compute.AttachmentTags) {
		out["tag"] = orNull(card.Tag)
	}
	return out
}

func (a *api) cards(ctx context.Context, one *Server) ([]network.Interface, error) {
	all, err := a.s.Networks.Interfaces(ctx, one.ID)
	return all[one.ID], err
}

func (a *api) interfaces(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	cards, err := a.cards(c.Context(), one)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, card := range cards {
		out = append(out, cardView(c, card))
	}
	return rest.OK(map[string]any{"interfaceAttachments": out})
}

func (a *api) interfaceOf(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	cards, err := a.cards(c.Context(), one)
	if err != nil {
		return rest.Reply{}, err
	}
	for _, card := range cards {
		if card.PortID == c.Var("port") {
			return rest.OK(map[string]any{"interfaceAttachment": cardView(c, card)})
		}
	}
	return rest.Reply{}, fault.NotFoundf("Instance %s does not have a port with id %s", one.ID, c.Var("port"))
}

// attachTimeout bounds how long the answer waits for the card: it says the
// card's address.
const attachTimeout = 50 * time.Second

func (a *api) attachInterface(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		A struct {
			Network string `json:"net_id" v:"uuid"`
			Port    string `json:"port_id" v:"uuid"`
			Fixed   []struct {
				Address string `json:"ip_address" v:"required"`
			} `json:"fixed_ips" v:"min=1,max=1"`
			Tag string `json:"tag" since:"2.49" v:"min=1,max=60"`
		} `json:"interfaceAttachment"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	want := network.PortRequest{NetworkID: in.A.Network, PortID: in.A.Port, Tag: in.A.Tag}
	if want.NetworkID != "" && want.PortID != "" {
		return rest.Reply{}, fault.Invalidf("Must not input both network_id and port_id")
	}
	want.AnyNetwork = want.NetworkID != "" && c.Allow(ruleExternal, policy.Target{})
	if len(in.A.Fixed) > 0 {
		if want.NetworkID == "" {
			return rest.Reply{}, fault.Invalidf("Must input network_id when request IP address")
		}
		want.FixedIP = in.A.Fixed[0].Address
	}
	port, saga, err := a.s.AttachInterface(c.Context(), one.ID, want, override(c, one), record(c, one))
	if err != nil {
		return rest.Reply{}, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), attachTimeout)
	defer cancel()
	if err := a.s.Tasks.Await(ctx, saga); err != nil {
		return rest.Reply{}, err
	}
	if _, err := getNIC(c.Context(), a.s.DB, one.ID, port); err != nil {
		return rest.Reply{}, a.attachFailure(c, one)
	}
	cards, err := a.cards(c.Context(), one)
	if err != nil {
		return rest.Reply{}, err
	}
	for _, card := range cards {
		if card.PortID == port {
			return rest.OK(map[string]any{"interfaceAttachment": cardView(c, card)})
		}
	}
	return rest.Reply{}, fault.Conflictf("The interface was detached meanwhile.")
}

// attachFailure is what the action log says of this request.
func (a *api) attachFailure(c *rest.Call, one *Server) error {
	events, err := a.s.store.eventsOf(c.Context(), actionID(one.ID, c.RequestID))
	if err != nil || len(events) == 0 || events[0].Details == "" {
		return fault.Internalf("interface of %s was not attached: %w", one.ID, err)
	}
	return fault.Invalidf("Failed to attach network adapter device to %s: %s", one.ID, events[0].Details)
}

func (a *api) detachInterface(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.DetachInterface(c.Context(), one.ID, c.Var("port"), override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
