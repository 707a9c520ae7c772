package servers

import (
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) metadataRoutes() []rest.Route {
	const all, item = "/v2.1/servers/{id}/metadata", "/v2.1/servers/{id}/metadata/{key}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: ruleMeta + "index", Object: true, Handle: a.metadata},
		{Method: "POST", Path: all, Rule: ruleMeta + "create", Object: true, Audit: "update", Handle: a.setMetadata(false)},
		{Method: "PUT", Path: all, Rule: ruleMeta + "update_all", Object: true, Audit: "update", Handle: a.setMetadata(true)},
		{Method: "GET", Path: item, Rule: ruleMeta + "show", Object: true, Handle: a.metadataItem},
		{Method: "PUT", Path: item, Rule: ruleMeta + "update", Object: true, Audit: "update", Handle: a.setMetadataItem},
		{Method: "DELETE", Path: item, Rule: ruleMeta + "delete", Object: true, Audit: "update", Handle: a.dropMetadataItem},
	}
}

func (a *api) metadata(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"metadata": one.Metadata})
}

// setMetadata adds to the items, or replaces all of them.
func (a *api) setMetadata(replace bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		one, err := a.find(c)
		if err != nil {
			return rest.Reply{}, err
		}
		var in struct {
			Metadata map[string]string `json:"metadata" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		if err := checkItems(in.Metadata); err != nil {
			return rest.Reply{}, err
		}
		after, err := a.s.Metadata(c.Context(), one.ID, override(c, one), record(c, one), func(items map[string]string) error {
			if replace {
				clear(items)
			}
			maps.Copy(items, in.Metadata)
			return nil
		})
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"metadata": after.Metadata})
	}
}

func noItem() error { return fault.NotFoundf("Metadata item was not found") }

func (a *api) metadataItem(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	value, ok := one.Metadata[c.Var("key")]
	if !ok {
		return rest.Reply{}, noItem()
	}
	return rest.OK(map[string]any{"meta": map[string]string{c.Var("key"): value}})
}

func (a *api) setMetadataItem(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Meta map[string]string `json:"meta" v:"required,min=1,max=1"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if _, ok := in.Meta[c.Var("key")]; !ok {
		return rest.Reply{}, fault.Invalidf("Request body and URI mismatch")
	}
	if err := checkItems(in.Meta); err != nil {
		return rest.Reply{}, err
	}
	_, err = a.s.Metadata(c.Context(), one.ID, override(c, one), record(c, one), func(items map[string]string) error {
		maps.Copy(items, in.Meta)
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"meta": in.Meta})
}

func (a *api) dropMetadataItem(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	_, err = a.s.Metadata(c.Context(), one.ID, override(c, one), record(c, one), func(items map[string]string) error {
		if _, ok := items[c.Var("key")]; !ok {
			return noItem()
		}
		delete(items, c.Var("key"))
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) tagRoutes() []rest.Route {
	const all, item = "/v2.1/servers/{id}/tags", "/v2.1/servers/{id}/tags/{tag}"
	out := []rest.Route{
		{Method: "GET", Path: all, Rule: ruleTags + "index", Object: true, Handle: a.tags},
		{Method: "PUT", Path: all, Rule: ruleTags + "update_all", Object: true, Audit: "update", Handle: a.setTags},
		{Method: "DELETE", Path: all, Rule: ruleTags + "delete_all", Object: true, Audit: "update", Handle: a.dropTags},
		{Method: "GET", Path: item, Rule: ruleTags + "show", Object: true, Handle: a.tag},
		{Method: "PUT", Path: item, Rule: ruleTags + "update", Object: true, Audit: "update", Handle: a.addTag},
		{Method: "DELETE", Path: item, Rule: ruleTags + "delete", Object: true, Audit: "update", Handle: a.dropTag},
	}
	for i := range out {
		out[i].Since = compute.ServerTags
	}
	return out
}

func (a *api) tags(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"tags": append([]string{}, one.Tags...)})
}

func (a *api) setTags(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Tags []string `json:"tags" v:"required,max=50"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := checkTags(in.Tags); err != nil {
		return rest.Reply{}, err
	}
	after, err := a.s.Tags(c.Context(), one.ID, record(c, one), func([]string) ([]string, error) { return in.Tags, nil })
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"tags": append([]string{}, after.Tags...)})
}

func (a *api) dropTags(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.s.Tags(c.Context(), one.ID, record(c, one), func([]string) ([]string, error) { return nil, nil }); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func noTag(one *Server, tag string) error {
	return fault.NotFoundf("Server %s has no tag '%s'", one.ID, tag)
}

func (a *api) tag(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if !slices.Contains(one.Tags, c.Var("tag")) {
		return rest.Reply{}, noTag(one, c.Var("tag"))
	}
	return rest.NoContent()
}

func (a *api) addTag(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	tag := c.Var("tag")
	if err := checkTags([]string{tag}); err != nil {
		return rest.Reply{}, err
	}
	fresh := !slices.Contains(one.Tags, tag)
	_, err = a.s.Tags(c.Context(), one.ID, record(c, one), func(tags []string) ([]string, error) { return append(tags, tag), nil })
	if err != nil {
		return rest.Reply{}, err
	}
	if !fresh {
		return rest.NoContent()
	}
	reply, err := rest.Created(nil)
	return reply.With("Location", c.Link("/v2.1/servers/"+one.ID+"/tags/"+tag)), err
}

func (a *api) dropTag(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	_, err = a.s.Tags(c.Context(), one.ID, record(c, one), func(tags []string) ([]string, error) {
		if !slices.Contains(tags, c.Var("tag")) {
			return nil, noTag(one, c.Var("tag"))
		}
		return slices.DeleteFunc(tags, func(t string) bool { return t == c.Var("tag") }), nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
