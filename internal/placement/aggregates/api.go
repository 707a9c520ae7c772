// Package aggregates is the API of the aggregates that providers belong to.
package aggregates

import (
	"encoding/json"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves aggregates.
type Feature struct {
	store *records.Store
	clock clock.Clock
}

// New makes the feature.
func New(s *records.Store, c clock.Clock) *Feature { return &Feature{s, c} }

// Rules are the policy rules of the routes.
func Rules() []policy.Rule {
	scope := []string{policy.ScopeProject}
	return []policy.Rule{
		{Name: "placement:resource_providers:aggregates:list", Check: policy.AdminOrService, Scopes: scope, Description: "List aggregates of a provider."},
		{Name: "placement:resource_providers:aggregates:update", Check: policy.AdminOrService, Scopes: scope, Description: "Update aggregates of a provider."},
	}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	const path = "/resource_providers/{uuid}/aggregates"
	return []rest.Route{
		{Method: "GET", Path: path, Rule: "placement:resource_providers:aggregates:list", Since: wire.Aggregates, Handle: f.list},
		{Method: "PUT", Path: path, Rule: "placement:resource_providers:aggregates:update", Audit: "update", Since: wire.Aggregates, Handle: f.set},
	}
}

func (f *Feature) reply(c *rest.Call, aggregates []string, generation int64) (rest.Reply, error) {
	if aggregates == nil {
		aggregates = []string{}
	}
	body := map[string]any{"aggregates": aggregates}
	if c.At(wire.AggregateGen) {
		body["resource_provider_generation"] = generation
	}
	return rest.Reply{Body: body, Header: wire.Fresh(c.Version, time.Time{}, f.clock.Now())}, nil
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, e.Aggregates, e.Generation)
}

func (f *Feature) set(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	if _, err := f.store.Provider(c.Context(), c.Var("uuid")); err != nil {
		return rest.Reply{}, err
	}
	list, generation, err := f.body(c)
	if err != nil {
		return rest.Reply{}, err
	}
	next, err := f.store.SetAggregates(c.Context(), c.Var("uuid"), generation, list)
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, list, next)
}

// body is a bare list before 1.19, and then an object with the generation.
func (f *Feature) body(c *rest.Call) (list []string, generation *int64, err error) {
	var in struct {
		Aggregates []string `json:"aggregates" v:"required"`
		Generation int64    `json:"resource_provider_generation" v:"required"`
	}
	switch {
	case c.At(wire.AggregateGen):
		err = c.Decode(&in)
		list, generation = in.Aggregates, &in.Generation
	case !json.Valid(c.Payload()):
		err = fault.Invalidf("Malformed request body: not valid JSON")
	case json.Unmarshal(c.Payload(), &list) != nil:
		err = fault.Invalidf("it is not of type 'array' of strings")
	}
	if err != nil {
		return nil, nil, wire.BadBody(err)
	}
	seen := map[string]bool{}
	for _, uuid := range list {
		if _, ok := wire.UUID(uuid); !ok {
			return nil, nil, wire.BadField("'%s' is not a 'uuid'", uuid)
		}
		if seen[uuid] {
			return nil, nil, wire.BadField("%v has non-unique elements", list)
		}
		seen[uuid] = true
	}
	return list, generation, nil
}
