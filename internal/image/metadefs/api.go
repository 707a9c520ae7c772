package metadefs

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	defaultPage = 25
	maxPage     = 1000
)

// Routes are the operations on the catalog.
func (s *Metadefs) Routes() []rest.Route {
	const one = base + "/{namespace}"
	routes := []rest.Route{
		{Method: "GET", Path: base, Rule: "get_metadef_namespaces", Handle: s.list},
		{Method: "POST", Path: base, Rule: "add_metadef_namespace", Audit: "create", Handle: s.post},
		{Method: "GET", Path: one, Rule: "get_metadef_namespace", Object: true, Handle: s.show},
		{Method: "PUT", Path: one, Rule: "modify_metadef_namespace", Object: true, Audit: "update", Handle: s.put},
		{Method: "DELETE", Path: one, Rule: "delete_metadef_namespace", Object: true, Audit: "delete", Handle: s.drop},
		{Method: "GET", Path: "/v2/metadefs/resource_types", Rule: "list_metadef_resource_types", Handle: s.resourceTypes},
	}
	return slices.Concat(routes, s.itemRoutes())
}

// find loads the namespace of the path and authorises the route's rule on it.
// One that the caller may not see does not exist.
func (s *Metadefs) find(c *rest.Call) (*Namespace, error) {
	n, err := byName(c.Context(), s.db, c.Var("namespace"))
	if err != nil {
		return nil, err
	}
	t := policy.Target{"project_id": n.Owner, "owner": n.Owner, "visibility": n.Visibility, "namespace": n.Name}
	if !c.Allow("get_metadef_namespace", t) {
		return nil, notFound(n.Name)
	}
	return n, c.Authorize(t)
}

func (s *Metadefs) list(c *rest.Call) (rest.Reply, error) {
	v := c.Values()
	q, err := pageOf(v)
	if err != nil {
		return rest.Reply{}, err
	}
	if q.Marker != "" {
		after, err := byName(c.Context(), s.db, q.Marker)
		if err != nil {
			return rest.Reply{}, err
		}
		q.Marker = after.ID
	}
	var conds []db.Cond
	if !c.Allow("context_is_admin", policy.Target{}) {
		conds = append(conds, seen(c.Auth.ProjectID))
	}
	if names := v.Get("resource_types"); names != "" {
		for name := range strings.SplitSeq(names, ",") {
			conds = append(conds, withType(name))
		}
	}
	found := []*Namespace{}
	if q.Limit > 0 {
		if found, err = namespaces.List(c.Context(), s.db, q, conds...); err != nil {
			return rest.Reply{}, err
		}
	}
	views := make([]map[string]any, 0, len(found))
	for _, n := range found {
		one := view(n)
		if err := s.include(c, n, one, types); err != nil {
			return rest.Reply{}, err
		}
		views = append(views, one)
	}
	body := map[string]any{"namespaces": views, "schema": "/v2/schemas/metadefs/namespaces", "first": address(v, "")}
	if len(found) > 0 && len(found) == q.Limit {
		body["next"] = address(v, found[len(found)-1].Name)
	}
	return rest.OK(body)
}

// pageOf reads order, page and filters of a list of namespaces.
func pageOf(v url.Values) (listing.Query, error) {
	q := listing.Query{Limit: defaultPage, Marker: v.Get("marker")}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return q, fault.Invalidf("limit param must be a positive integer")
		}
		q.Limit = min(n, maxPage)
	}
	key, dir := v.Get("sort_key"), v.Get("sort_dir")
	columns := map[string]string{"": "created_at", "created_at": "created_at", "updated_at": "updated_at", "namespace": "name", "display_name": "display_name",
		"owner": "owner", "visibility": "visibility", "id": "id"}
	column, ok := columns[key]
	if !ok {
		return q, fault.Invalidf("Invalid sort key: %s", clip(key))
	}
	if dir != "" && dir != "asc" && dir != "desc" {
		return q, fault.Invalidf("Invalid sort direction: %s", clip(dir))
	}
	q.Order = []listing.Order{{Column: column, Desc: dir != "asc"}}
	if visibility := v.Get("visibility"); visibility != "" {
		if visibility != "public" && visibility != "private" {
			return q, fault.Invalidf("Invalid visibility value: %s", clip(visibility))
		}
		q = q.And("visibility", listing.Eq, visibility)
	}
	return q, nil
}

func address(v url.Values, marker string) string {
	query := url.Values{}
	for name, values := range v {
		query[name] = values
	}
	query.Del("marker")
	if marker != "" {
		query.Set("marker", marker)
	}
	if len(query) == 0 {
		return base
	}
	return base + "?" + query.Encode()
}

// include puts the definitions of kinds into a namespace's view, where there are any.
func (s *Metadefs) include(c *rest.Call, n *Namespace, view map[string]any, kinds ...kind) error {
	for _, k := range kinds {
		all, err := of(c.Context(), s.db, n.ID, k)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			view[k.member()] = collection(n, k, all)
		}
	}
	return nil
}

func (s *Metadefs) whole(c *rest.Call, n *Namespace) (map[string]any, error) {
	out := view(n)
	return out, s.include(c, n, out, objects, properties, tags, types)
}

func (s *Metadefs) post(c *rest.Call) (rest.Reply, error) {
	d, err := parseNamespace(c.Payload(), c.Auth.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	n, err := s.create(c.Context(), d, c.Event("namespace", d.Name, d.Owner))
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := s.whole(c, n)
	if err != nil {
		return rest.Reply{}, err
	}
	reply, err := rest.Created(body)
	return reply.With("Location", c.Link(base+"/"+url.PathEscape(n.Name))), err
}

func (s *Metadefs) show(c *rest.Call) (rest.Reply, error) {
	n, err := s.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := s.whole(c, n)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (s *Metadefs) put(c *rest.Call) (rest.Reply, error) {
	d, err := parseNamespace(c.Payload(), c.Auth.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	n, err := s.find(c)
	if err == nil {
		n, err = s.update(c.Context(), n, d, c.Event("namespace", n.Name, n.Owner))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(view(n))
}

func (s *Metadefs) drop(c *rest.Call) (rest.Reply, error) {
	n, err := s.find(c)
	if err == nil {
		err = s.remove(c.Context(), n, c.Event("namespace", n.Name, n.Owner))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (s *Metadefs) resourceTypes(c *rest.Call) (rest.Reply, error) {
	used, err := usedTypes(c.Context(), s.db)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]string{}
	for _, name := range allTypes(used) {
		out = append(out, map[string]string{"name": name})
	}
	return rest.OK(map[string]any{"resource_types": out})
}
