// Package allocations is the API of what consumers have, and of reshaping it.
package allocations

import (
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/search"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves allocations.
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
		{Name: "placement:allocations:manage", Check: check, Scopes: scope, Description: "Manage allocations of several consumers."},
		{Name: "placement:allocations:list", Check: check, Scopes: scope, Description: "List allocations of a consumer."},
		{Name: "placement:allocations:update", Check: check, Scopes: scope, Description: "Update allocations of a consumer."},
		{Name: "placement:allocations:delete", Check: check, Scopes: scope, Description: "Delete allocations of a consumer."},
		{Name: "placement:resource_providers:allocations:list", Check: check, Scopes: scope, Description: "List allocations of a provider."},
		{Name: "placement:reshaper:reshape", Check: policy.ServiceAPI, Scopes: scope, Description: "Reshape inventories and allocations."},
	}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	const one = "/allocations/{consumer}"
	const bulk = 16 << 20 // bytes: a reshape carries all consumers of its providers
	return []rest.Route{
		{Method: "GET", Path: one, Rule: "placement:allocations:list", Handle: f.ofConsumer},
		{Method: "PUT", Path: one, Rule: "placement:allocations:update", Audit: "update", Until: wire.AllocationsByName, Handle: f.setEarly},
		{Method: "PUT", Path: one, Rule: "placement:allocations:update", Audit: "update", Since: wire.AllocationsByName, Handle: f.set},
		{Method: "DELETE", Path: one, Rule: "placement:allocations:delete", Audit: "delete", Handle: f.delete},
		{Method: "POST", Path: "/allocations", Rule: "placement:allocations:manage", Audit: "update", Since: wire.ManyAllocations, MaxBody: bulk, Handle: f.manage},
		{Method: "GET", Path: "/resource_providers/{uuid}/allocations", Rule: "placement:resource_providers:allocations:list", Handle: f.ofProvider},
		{Method: "POST", Path: "/reshaper", Rule: "placement:reshaper:reshape", Audit: "reshape", Since: wire.Reshaper, MaxBody: bulk, Handle: f.reshape},
	}
}

func (f *Feature) reply(c *rest.Call, body any, rows []records.Allocation) (rest.Reply, error) {
	latest := time.Time{}
	for _, a := range rows {
		if a.CreatedAt.After(latest) {
			latest = a.CreatedAt
		}
	}
	return rest.Reply{Body: body, Header: wire.Fresh(c.Version, latest, f.clock.Now())}, nil
}

func (f *Feature) ofConsumer(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	rows, err := f.store.ByConsumer(c.Context(), c.Var("consumer"))
	if err != nil {
		return rest.Reply{}, err
	}
	generations := map[string]int64{}
	if err := f.store.View(c.Context(), func(x *search.Index) error {
		for _, a := range rows {
			if e, ok := x.Get(a.Provider); ok {
				generations[a.Provider] = e.Generation
			}
		}
		return nil
	}); err != nil {
		return rest.Reply{}, err
	}
	body := map[string]any{"allocations": resources(rows, func(a *records.Allocation) string { return a.Provider },
		func(a *records.Allocation, into map[string]any) { into["generation"] = generations[a.Provider] })}
	consumer, ok, err := f.store.Consumer(c.Context(), c.Var("consumer"))
	if err != nil {
		return rest.Reply{}, err
	}
	if ok && len(rows) > 0 {
		describe(c, consumer, body)
	}
	return f.reply(c, body, rows)
}

// describe adds what the version shows of a consumer.
func describe(c *rest.Call, consumer placement.Consumer, body map[string]any) {
	if c.At(wire.AllocationsByName) {
		body["project_id"], body["user_id"] = consumer.ProjectID, consumer.UserID
	}
	if c.At(wire.ConsumerGeneration) {
		body["consumer_generation"] = consumer.Generation
	}
	if c.At(wire.ConsumerTypes) {
		body["consumer_type"] = "unknown"
		if consumer.Type != "" {
			body["consumer_type"] = consumer.Type
		}
	}
}

func (f *Feature) ofProvider(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	rows, err := f.store.ByProvider(c.Context(), e.UUID)
	if err != nil {
		return rest.Reply{}, err
	}
	allocations := resources(rows, func(a *records.Allocation) string { return a.Consumer }, func(a *records.Allocation, into map[string]any) {
		if c.At(wire.ConsumerGeneration) {
			into["consumer_generation"] = a.Generation
		}
	})
	return f.reply(c, map[string]any{"allocations": allocations, "resource_provider_generation": e.Generation}, rows)
}

// consumer reads the consumer of the path.
func consumer(c *rest.Call) (string, error) {
	if err := wire.Sends(c.Request); err != nil {
		return "", err
	}
	uuid, ok := wire.UUID(c.Var("consumer"))
	if !ok {
		return "", fault.Invalidf("Malformed consumer_uuid: %s", c.Var("consumer"))
	}
	return uuid, nil
}

func (f *Feature) setEarly(c *rest.Call) (rest.Reply, error) {
	uuid, err := consumer(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in early
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	claim, err := in.claim(uuid)
	if err != nil {
		return rest.Reply{}, err
	}
	return f.replace(c, []placement.Claim{claim}, "Unable to allocate inventory for consumer "+uuid+": ")
}

func (f *Feature) set(c *rest.Call) (rest.Reply, error) {
	uuid, err := consumer(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in claim
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	claim, err := in.claim(c, uuid, c.At(wire.ConsumerGeneration))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.replace(c, []placement.Claim{claim}, "Unable to allocate inventory for consumer "+uuid+": ")
}

func (f *Feature) manage(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	var in map[string]claim
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	if len(in) == 0 {
		return rest.Reply{}, wire.BadField("{} does not have enough properties")
	}
	claims, err := claimsOf(c, in)
	if err != nil {
		return rest.Reply{}, err
	}
	return f.replace(c, claims, "Unable to allocate inventory ")
}

// replace commits claims; words goes before the text for unknown classes.
func (f *Feature) replace(c *rest.Call, claims []placement.Claim, words string) (rest.Reply, error) {
	if err := f.store.Replace(c.Context(), claims); err != nil {
		return rest.Reply{}, refusal(err, words)
	}
	return rest.NoContent()
}

// refusal words why claims were refused.
func refusal(err error, words string) error {
	switch {
	case wire.Whose(err, fault.Invalid, wire.CodeNoClass):
		return wire.Prefix(err, fault.Invalid, words)
	case wire.Whose(err, fault.Conflict, ""):
		return wire.Prefix(err, fault.Conflict, "Unable to allocate inventory: ")
	}
	return err
}

func (f *Feature) delete(c *rest.Call) (rest.Reply, error) {
	if err := f.store.DeleteAllocations(c.Context(), c.Var("consumer")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
