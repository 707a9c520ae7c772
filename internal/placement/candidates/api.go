// Package candidates is the API that finds providers for a request.
package candidates

import (
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves allocation candidates.
type Feature struct {
	store *records.Store
	clock clock.Clock
}

// New makes the feature.
func New(s *records.Store, c clock.Clock) *Feature { return &Feature{s, c} }

// Rules are the policy rules of the routes.
func Rules() []policy.Rule {
	return []policy.Rule{{Name: "placement:allocation_candidates:list", Check: policy.AdminOrService, Scopes: []string{policy.ScopeProject}, Description: "List allocation candidates."}}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	return []rest.Route{{Method: "GET", Path: "/allocation_candidates", Rule: "placement:allocation_candidates:list", Since: wire.Candidates, Handle: f.list}}
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	request, err := wire.ParseRequest(c.Values(), c.Version)
	if err != nil {
		return rest.Reply{}, err
	}
	found, err := f.store.Candidates(c.Context(), request)
	if err != nil {
		return rest.Reply{}, wire.NamedBy(err, "Invalid resource class in resources parameter: ", "")
	}
	requests := make([]any, 0, len(found.List))
	for _, one := range found.List {
		requests = append(requests, view(c, one))
	}
	body := map[string]any{"allocation_requests": requests, "provider_summaries": summaries(c, &request, found.Providers)}
	return rest.Reply{Body: body, Header: wire.Fresh(c.Version, time.Time{}, f.clock.Now())}, nil
}

// view is a candidate as the body of PUT /allocations takes it: a list of
// providers before 1.12, an object by provider since.
func view(c *rest.Call, one placement.Candidate) map[string]any {
	if !c.At(wire.AllocationsByName) {
		list := []any{}
		for uuid, resources := range one.Allocations {
			list = append(list, map[string]any{"resource_provider": map[string]any{"uuid": uuid}, "resources": resources})
		}
		return map[string]any{"allocations": list}
	}
	allocations := make(map[string]any, len(one.Allocations))
	for uuid, resources := range one.Allocations {
		allocations[uuid] = map[string]any{"resources": resources}
	}
	out := map[string]any{"allocations": allocations}
	if c.At(wire.Mappings) {
		out["mappings"] = one.Mappings
	}
	return out
}

func summaries(c *rest.Call, request *placement.Request, providers map[string]placement.Summary) map[string]any {
	requested := map[string]bool{}
	for _, g := range request.Groups {
		for class := range g.Resources {
			requested[class] = true
		}
	}
	out := make(map[string]any, len(providers))
	for uuid, p := range providers {
		resources := map[string]any{}
		for class, level := range p.Resources {
			if requested[class] || c.At(wire.AllResources) {
				resources[class] = map[string]any{"capacity": level.Capacity, "used": level.Used}
			}
		}
		one := map[string]any{"resources": resources}
		if c.At(wire.CandidatesRequired) {
			one["traits"] = append([]string{}, p.Traits...)
		}
		if c.At(wire.NestedCandidates) {
			one["root_provider_uuid"], one["parent_provider_uuid"] = p.Root, nil
			if p.Parent != "" {
				one["parent_provider_uuid"] = p.Parent
			}
		}
		out[uuid] = one
	}
	return out
}
