package metadefs

import (
	"encoding/json"
	"net/http"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// itemRoutes are the operations on what a namespace contains.
func (s *Metadefs) itemRoutes() []rest.Route {
	const one = base + "/{namespace}"
	routes := []rest.Route{
		{Method: "GET", Path: one + "/resource_types", Rule: "list_metadef_resource_types", Object: true, Handle: s.lists(types)},
		{Method: "POST", Path: one + "/resource_types", Rule: "add_metadef_resource_type_association", Object: true, Audit: "create", Handle: s.posts(types)},
		{Method: "DELETE", Path: one + "/resource_types/{name}", Rule: "remove_metadef_resource_type_association", Object: true, Audit: "delete", Handle: s.drops(types)},
		{Method: "POST", Path: one + "/objects", Rule: "add_metadef_object", Object: true, Audit: "create", Handle: s.posts(objects)},
		{Method: "POST", Path: one + "/properties", Rule: "add_metadef_property", Object: true, Audit: "create", Handle: s.posts(properties)},
		{Method: "POST", Path: one + "/tags", Rule: "add_metadef_tags", Object: true, Audit: "create", Handle: s.postTags},
		{Method: "POST", Path: one + "/tags/{name}", Rule: "add_metadef_tag", Object: true, Audit: "create", Handle: s.postTag},
	}
	for _, k := range []struct {
		kind
		list, get, modify, remove, clear string // rules
	}{
		{objects, "get_metadef_objects", "get_metadef_object", "modify_metadef_object", "delete_metadef_object", "delete_metadef_object"},
		{properties, "get_metadef_properties", "get_metadef_property", "modify_metadef_property", "remove_metadef_property", "remove_metadef_property"},
		{tags, "get_metadef_tags", "get_metadef_tag", "modify_metadef_tag", "delete_metadef_tag", "delete_metadef_tags"},
	} {
		all := one + "/" + k.many
		routes = append(routes,
			rest.Route{Method: "GET", Path: all, Rule: k.list, Object: true, Handle: s.lists(k.kind)},
			rest.Route{Method: "DELETE", Path: all, Rule: k.clear, Object: true, Audit: "delete", Handle: s.clears(k.kind)},
			rest.Route{Method: "GET", Path: all + "/{name}", Rule: k.get, Object: true, Handle: s.shows(k.kind)},
			rest.Route{Method: "PUT", Path: all + "/{name}", Rule: k.modify, Object: true, Audit: "update", Handle: s.puts(k.kind)},
			rest.Route{Method: "DELETE", Path: all + "/{name}", Rule: k.remove, Object: true, Audit: "delete", Handle: s.drops(k.kind)})
	}
	return routes
}

func (s *Metadefs) lists(k kind) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		n, err := s.find(c)
		if err != nil {
			return rest.Reply{}, err
		}
		all, err := of(c.Context(), s.db, n.ID, k)
		if err != nil {
			return rest.Reply{}, err
		}
		body := map[string]any{k.member(): collection(n, k, all)}
		if k.name == objects.name {
			body["schema"] = "/v2/schemas/metadefs/objects"
		}
		return rest.OK(body)
	}
}

func (s *Metadefs) posts(k kind) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		name, doc, err := k.parse(c.Payload())
		if err != nil {
			return rest.Reply{}, err
		}
		return s.write(c, k, item{k, name, doc})
	}
}

// write adds one definition and answers with it.
func (s *Metadefs) write(c *rest.Call, k kind, one item) (rest.Reply, error) {
	n, err := s.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	made, err := s.add(c.Context(), n, []item{one}, nil, c.Event("metadef_"+k.name, n.Name+"/"+one.name, n.Owner))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(render(n, k, made[0]))
}

func (s *Metadefs) postTag(c *rest.Call) (rest.Reply, error) {
	if err := tags.check(c.Var("name"), nil); err != nil {
		return rest.Reply{}, err
	}
	return s.write(c, tags, item{tags, c.Var("name"), document{}})
}

// postTags replaces all tags, or adds some with the header X-Openstack-Append.
func (s *Metadefs) postTags(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Tags []json.RawMessage `json:"tags"`
	}
	if err := json.Unmarshal(c.Payload(), &in); err != nil {
		return rest.Reply{}, fault.Invalidf("Malformed request body: a list of tags is expected.").Because(err)
	}
	items := make([]item, 0, len(in.Tags))
	for _, raw := range in.Tags {
		name, doc, err := tags.parse(raw)
		if err != nil {
			return rest.Reply{}, err
		}
		items = append(items, item{tags, name, doc})
	}
	n, err := s.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	instead := &tags
	if more, ok := rest.ParseBool(c.Header.Get("X-Openstack-Append")); ok && more {
		instead = nil
	}
	made, err := s.add(c.Context(), n, items, instead, c.Event("metadef_tags", n.Name, n.Owner))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Answer(http.StatusCreated, map[string]any{"tags": collection(n, tags, made)})
}

// pick finds the namespace and the definition of the path.
func (s *Metadefs) pick(c *rest.Call, k kind) (*Namespace, *definition, error) {
	n, err := s.find(c)
	if err != nil {
		return nil, nil, err
	}
	d, err := one(c.Context(), s.db, n.ID, k, c.Var("name"))
	return n, d, err
}

func (s *Metadefs) shows(k kind) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		n, d, err := s.pick(c, k)
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(render(n, k, d))
	}
}

func (s *Metadefs) puts(k kind) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		name, doc, err := k.parse(c.Payload())
		if err != nil {
			return rest.Reply{}, err
		}
		n, d, err := s.pick(c, k)
		if err == nil {
			d, err = s.replace(c.Context(), n, d, name, doc, c.Event("metadef_"+k.name, n.Name+"/"+name, n.Owner))
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(render(n, k, d))
	}
}

func (s *Metadefs) drops(k kind) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		n, d, err := s.pick(c, k)
		if err == nil {
			err = s.change(c.Context(), n, c.Event("metadef_"+k.name, n.Name+"/"+d.Name, n.Owner), func(tx *db.Tx) error {
				return definitions.Delete(c.Context(), tx, d.ID)
			})
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.NoContent()
	}
}

func (s *Metadefs) clears(k kind) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		n, err := s.find(c)
		if err == nil {
			err = s.change(c.Context(), n, c.Event("metadef_"+k.many, n.Name, n.Owner), func(tx *db.Tx) error {
				return clear(c.Context(), tx, n.ID, k)
			})
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.NoContent()
	}
}
