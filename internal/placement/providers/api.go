// Package providers is the API of resource providers themselves.
package providers

import (
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/search"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves resource providers.
type Feature struct {
	store *records.Store
	clock clock.Clock
}

// New makes the feature.
func New(s *records.Store, c clock.Clock) *Feature { return &Feature{s, c} }

// Rules are the policy rules of the routes.
func Rules() []policy.Rule {
	const check = policy.AdminOrService
	scope := []string{policy.ScopeProject}
	return []policy.Rule{
		{Name: "placement:resource_providers:list", Check: check, Scopes: scope, Description: "List resource providers."},
		{Name: "placement:resource_providers:create", Check: check, Scopes: scope, Description: "Create a resource provider."},
		{Name: "placement:resource_providers:show", Check: check, Scopes: scope, Description: "Show a resource provider."},
		{Name: "placement:resource_providers:update", Check: check, Scopes: scope, Description: "Update a resource provider."},
		{Name: "placement:resource_providers:delete", Check: check, Scopes: scope, Description: "Delete a resource provider."},
	}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	const one = "/resource_providers/{uuid}"
	return []rest.Route{
		{Method: "GET", Path: "/resource_providers", Rule: "placement:resource_providers:list", Handle: f.list},
		{Method: "POST", Path: "/resource_providers", Rule: "placement:resource_providers:create", Audit: "create", Handle: f.create},
		{Method: "GET", Path: one, Rule: "placement:resource_providers:show", Handle: f.show},
		{Method: "PUT", Path: one, Rule: "placement:resource_providers:update", Audit: "update", Handle: f.update},
		{Method: "DELETE", Path: one, Rule: "placement:resource_providers:delete", Audit: "delete", Handle: f.delete},
	}
}

func view(c *rest.Call, p *placement.Provider) map[string]any {
	self := strings.TrimPrefix(c.Link("/resource_providers/"+p.UUID), c.Root())
	links := []any{map[string]string{"rel": "self", "href": self}}
	for _, l := range []struct {
		rel   string
		since bool
	}{{"inventories", true}, {"usages", true}, {"aggregates", c.At(wire.Aggregates)}, {"traits", c.At(wire.Traits)}, {"allocations", c.At(wire.LinkAllocations)}} {
		if l.since {
			links = append(links, map[string]string{"rel": l.rel, "href": self + "/" + l.rel})
		}
	}
	out := map[string]any{"uuid": p.UUID, "name": p.Name, "generation": p.Generation, "links": links}
	if c.At(wire.Nested) {
		out["root_provider_uuid"], out["parent_provider_uuid"] = p.Root, nil
		if p.Parent != "" {
			out["parent_provider_uuid"] = p.Parent
		}
	}
	return out
}

func (f *Feature) reply(c *rest.Call, body any, at time.Time) (rest.Reply, error) {
	return rest.Reply{Body: body, Header: wire.Fresh(c.Version, at, f.clock.Now())}, nil
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	filter, err := f.filter(c)
	if err != nil {
		return rest.Reply{}, err
	}
	views, latest := []any{}, time.Time{}
	err = f.store.View(c.Context(), func(x *search.Index) error {
		for _, e := range x.List(filter) {
			views = append(views, view(c, &e.Provider))
			if e.UpdatedAt.After(latest) {
				latest = e.UpdatedAt
			}
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, map[string]any{"resource_providers": views}, latest)
}

func (f *Feature) filter(c *rest.Call) (search.Filter, error) {
	var out search.Filter
	var err error
	if out.UUID, out.Name, out.Group, err = wire.ParseFilter(c.Values(), c.Version); err != nil {
		return out, err
	}
	return out, wire.NamedBy(f.store.CheckGroup(c.Context(), &out.Group), "Invalid resource class in resources parameter: ", "Invalid trait(s) in \"required\" parameter: ")
}

func (f *Feature) show(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, view(c, &e.Provider), e.UpdatedAt)
}

func (f *Feature) create(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name   string           `json:"name" v:"required,max=200"`
		UUID   string           `json:"uuid"`
		Parent rest.Opt[string] `json:"parent_provider_uuid" since:"1.14"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	p := placement.Provider{Name: in.Name, Parent: in.Parent.V, UUID: id.New()}
	if in.UUID != "" {
		var ok bool
		if p.UUID, ok = wire.UUID(in.UUID); !ok {
			return rest.Reply{}, wire.BadField("'%s' is not a 'uuid'", in.UUID)
		}
	}
	if err := parentForm(in.Parent); err != nil {
		return rest.Reply{}, err
	}
	p, err := f.store.CreateProvider(c.Context(), p)
	if err != nil {
		return rest.Reply{}, wire.ActionFailed(err, "Unable to create resource provider \""+in.Name+"\", "+in.UUID+": ")
	}
	location := c.Link("/resource_providers/" + p.UUID)
	if !c.At(wire.CreateShows) {
		return rest.Reply{Status: 201}.With("Location", location), nil
	}
	reply, err := f.reply(c, view(c, &p), p.CreatedAt)
	return reply.With("Location", location), err
}

func parentForm(parent rest.Opt[string]) error {
	if !parent.Set || parent.Null {
		return nil
	}
	if _, ok := wire.UUID(parent.V); !ok {
		return wire.BadField("'%s' is not valid under any of the given schemas", parent.V)
	}
	return nil
}

func (f *Feature) update(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	uuid := c.Var("uuid")
	if _, err := f.store.Provider(c.Context(), uuid); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name   string           `json:"name" v:"required,max=200"`
		Parent rest.Opt[string] `json:"parent_provider_uuid" since:"1.14"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	if err := parentForm(in.Parent); err != nil {
		return rest.Reply{}, err
	}
	p, err := f.store.UpdateProvider(c.Context(), uuid, in.Name, records.Parentage{Set: in.Parent.Set, UUID: in.Parent.V, Free: c.At(wire.Reparent)})
	if err != nil {
		return rest.Reply{}, wire.ActionFailed(err, "Unable to save resource provider "+uuid+": ")
	}
	return f.reply(c, view(c, &p), p.UpdatedAt)
}

func (f *Feature) delete(c *rest.Call) (rest.Reply, error) {
	if err := f.store.DeleteProvider(c.Context(), c.Var("uuid")); err != nil {
		return rest.Reply{}, wire.NotFound(err, "No resource provider with uuid "+c.Var("uuid")+" found for delete")
	}
	return rest.NoContent()
}
