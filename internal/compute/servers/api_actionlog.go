package servers

import (
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

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

// findLogged is find, but since 2.21 the log of a deleted server is shown too.
func (a *api) findLogged(c *rest.Call) (*Server, error) {
	one, err := a.find(c)
	if !isGone(err) || !c.At(compute.ActionsOfDeleted) {
		return one, err
	}
	entries, logErr := a.s.store.actionsOf(c.Context(), c.Var("id"), listing.Query{Limit: 1})
	if logErr != nil {
		return nil, logErr
	}
	if len(entries) == 0 {
		return nil, err
	}
	one = &Server{Server: compute.Server{ID: c.Var("id"), ProjectID: entries[0].ProjectID}}
	if c.Authorize(target(&one.Server)) != nil {
		return nil, err // as for a server of somebody else
	}
	return one, nil
}

func (a *api) log(c *rest.Call) (rest.Reply, error) {
	one, err := a.findLogged(c)
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
	one, err := a.findLogged(c)
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
