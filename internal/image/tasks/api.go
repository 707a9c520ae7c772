package tasks

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Images finds images. Find loads the one of the request's path for the
// caller and authorises the route's rule on it.
type Images interface {
	Find(c *rest.Call) (*image.Image, string, error)
}

const (
	defaultPage = 25
	maxPage     = 1000
)

// Routes are the operations on tasks.
func (t *Tasks) Routes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v2/tasks", Rule: "tasks_api_access", Handle: t.list},
		{Method: "GET", Path: "/v2/tasks/{id}", Rule: "tasks_api_access", Handle: t.show},
		{Method: "DELETE", Path: "/v2/tasks/{id}", Rule: "tasks_api_access", Audit: "delete", Handle: refuseDelete},
		{Method: "GET", Path: "/v2/images/{id}/tasks", Rule: "get_image", Object: true, Handle: t.ofImage},
	}
}

func isoTime(us int64) string { return clock.FromMicros(us).Format("2006-01-02T15:04:05Z") }

// brief is a task in a list.
func brief(r *row) map[string]any {
	out := map[string]any{"id": r.ID, "type": r.Type, "status": r.Status, "owner": r.Owner, "created_at": isoTime(r.CreatedAt),
		"updated_at": isoTime(r.UpdatedAt), "self": "/v2/tasks/" + r.ID, "schema": "/v2/schemas/task"}
	if r.Status == success || r.Status == failed {
		out["expires_at"] = isoTime(r.UpdatedAt + keep.Microseconds())
	}
	return out
}

func view(r *row) map[string]any {
	out := brief(r)
	out["input"], out["result"], out["message"], out["user_id"], out["request_id"] = r.Input.V, r.Result.V, r.Message, r.UserID, r.RequestID
	if r.ImageID != "" {
		out["image_id"] = r.ImageID
	}
	return out
}

func (t *Tasks) list(c *rest.Call) (rest.Reply, error) {
	q := listing.Query{Limit: defaultPage, Marker: c.Values().Get("marker"), Order: []listing.Order{{Column: "created_at", Desc: true}}}
	if text := c.Values().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return rest.Reply{}, fault.Invalidf("limit param must be a positive integer")
		}
		q.Limit = min(n, maxPage)
	}
	for _, name := range []string{"type", "status"} {
		if v := c.Values().Get(name); v != "" {
			q = q.And(name, listing.Eq, v)
		}
	}
	if !c.Allow("context_is_admin", policy.Target{}) {
		q = q.And("owner", listing.Eq, c.Auth.ProjectID)
	}
	views := []map[string]any{}
	next := ""
	if q.Limit > 0 {
		found, err := rows.List(c.Context(), t.db, q)
		if err != nil {
			return rest.Reply{}, err
		}
		for _, r := range found {
			views = append(views, brief(r))
		}
		if len(found) == q.Limit {
			next = found[len(found)-1].ID
		}
	}
	query := url.Values{}
	for name, values := range c.Values() {
		query[name] = values
	}
	query.Del("marker")
	body := map[string]any{"tasks": views, "schema": "/v2/schemas/tasks", "first": address(query)}
	if next != "" {
		query.Set("marker", next)
		body["next"] = address(query)
	}
	return rest.OK(body)
}

func address(query url.Values) string {
	if len(query) == 0 {
		return "/v2/tasks"
	}
	return "/v2/tasks?" + query.Encode()
}

// find loads the task of the path; others' tasks do not exist.
func (t *Tasks) find(c *rest.Call) (*row, error) {
	r, err := rows.Get(c.Context(), t.db, c.Var("id"))
	if err == nil && r.Owner != c.Auth.ProjectID && !c.Allow("context_is_admin", policy.Target{}) {
		err = fault.NotFoundf("")
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Failed to find task %s", c.Var("id"))
	}
	return r, err
}

func (t *Tasks) show(c *rest.Call) (rest.Reply, error) {
	r, err := t.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(r))
}

// refuseDelete answers as upstream does: tasks go by themselves.
func refuseDelete(*rest.Call) (rest.Reply, error) {
	reply, err := rest.Answer(http.StatusMethodNotAllowed, "Tasks are deleted by themselves when their expires_at has passed.")
	return reply.With("Allow", "GET").With("Content-Type", "text/plain"), err
}

func (t *Tasks) ofImage(c *rest.Call) (rest.Reply, error) {
	i, _, err := t.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	found, err := ofImage(c.Context(), t.db, i.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	views := []map[string]any{}
	for _, r := range slices.Backward(found) {
		v := view(r)
		delete(v, "self")
		delete(v, "schema")
		views = append(views, v)
	}
	return rest.OK(map[string]any{"tasks": views})
}
