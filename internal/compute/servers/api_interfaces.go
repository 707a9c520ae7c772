package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
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

func (a *api) logRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/servers/{id}/os-instance-actions", Rule: ruleActions + "list", Object: true, Handle: a.log},
		{Method: "GET", Path: "/v2.1/servers/{id}/os-instance-actions/{request}", Rule: ruleActions + "show", Object: true, Handle: a.logEntry},
	}
}

func actionView(c *rest.Call, x *action) map[string]any {
	out := map[string]any{"action": x.Action, "instance_uuid": x.Server, "request_id": x.RequestID, "user_id": x.UserID, "project_id": x.ProjectID,
		"start_time": usageTime(x.CreatedAt), "message": orNull(x.Message)}
	if c.At(compute.ActionsPaging) {
		out["updated_at"] = usageTime(x.UpdatedAt)
	}
	return out
}

func (a *api) log(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	q, err := logQuery(c, one)
	if err != nil {
		return rest.Reply{}, err
	}
	found, err := a.s.store.actionsOf(c.Context(), one.ID, q)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, x := range found {
		out = append(out, actionView(c, x))
	}
	body := map[string]any{"instanceActions": out}
	if c.At(compute.ActionsPaging) && q.Limit > 0 && len(found) == q.Limit {
		next := c.Request.URL.Query()
		next.Set("marker", found[len(found)-1].RequestID)
		body["links"] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + next.Encode()}}
	}
	return rest.OK(body)
}

// logQuery reads paging and times, which the action log has since 2.58.
func logQuery(c *rest.Call, one *Server) (listing.Query, error) {
	q := listing.Query{Limit: 1000}
	if !c.At(compute.ActionsPaging) {
		return q, nil
	}
	if text := c.Values().Get("limit"); text != "" {
		var n rest.Int
		if err := n.UnmarshalJSON([]byte(text)); err != nil || n < 0 {
			return q, fault.Invalidf("Invalid input for query parameters limit. Value: %s", text)
		}
		if n > 0 {
			q.Limit = min(int(n), 1000)
		}
	}
	if marker := c.Values().Get("marker"); marker != "" {
		q.Marker = actionID(one.ID, marker)
	}
	for name, op := range map[string]listing.Op{"changes-since": listing.MoreEq, "changes-before": listing.LessEq} {
		if text := c.Values().Get(name); text != "" {
			at, err := rest.ParseTime(name, text)
			if err != nil {
				return q, err
			}
			q = q.And("updated_at", op, at)
		}
	}
	return q, nil
}

func (a *api) logEntry(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	x, err := a.s.store.actionOf(c.Context(), one.ID, c.Var("request"))
	if isGone(err) {
		return rest.Reply{}, fault.NotFoundf("Action for request_id %s on instance %s not found", c.Var("request"), one.ID)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	body := actionView(c, x)
	admin := c.Allow(ruleActions+"events", target(&one.Server))
	if admin || c.At(compute.EventUpdatedAt) {
		events, err := a.s.store.eventsOf(c.Context(), x.ID)
		if err != nil {
			return rest.Reply{}, err
		}
		out := []map[string]any{}
		for _, e := range events {
			out = append(out, eventView(c, one, e, admin))
		}
		body["events"] = out
	}
	return rest.OK(map[string]any{"instanceAction": body})
}

func eventView(c *rest.Call, one *Server, e *actionEvent, admin bool) map[string]any {
	out := map[string]any{"event": e.Event, "start_time": usageTime(e.CreatedAt), "finish_time": usageTime(e.FinishedAt), "result": orNull(e.Result)}
	if admin {
		out["traceback"] = nil
	}
	if c.At(compute.ActionEventHost) {
		out["hostId"] = hostID(one.ProjectID, e.Host)
		if admin {
			out["host"] = orNull(e.Host)
		}
	}
	if c.At(compute.ActionEventDetails) && c.Allow(ruleActions+"events:details", target(&one.Server)) {
		out["details"] = orNull(e.Details)
	}
	return out
}
