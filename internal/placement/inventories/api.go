// Package inventories is the API of what providers have, and of what is used of it.
package inventories

import (
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves inventories.
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
		{Name: "placement:resource_providers:inventories:list", Check: check, Scopes: scope, Description: "List inventories of a provider."},
		{Name: "placement:resource_providers:inventories:create", Check: check, Scopes: scope, Description: "Create one inventory of a provider."},
		{Name: "placement:resource_providers:inventories:show", Check: check, Scopes: scope, Description: "Show one inventory of a provider."},
		{Name: "placement:resource_providers:inventories:update", Check: check, Scopes: scope, Description: "Update inventories of a provider."},
		{Name: "placement:resource_providers:inventories:delete", Check: check, Scopes: scope, Description: "Delete inventories of a provider."},
		{Name: "placement:resource_providers:usages", Check: check, Scopes: scope, Description: "List what is used of a provider."},
	}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	const all, one = "/resource_providers/{uuid}/inventories", "/resource_providers/{uuid}/inventories/{class}"
	const rule = "placement:resource_providers:inventories:"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: rule + "list", Handle: f.list},
		{Method: "POST", Path: all, Rule: rule + "create", Audit: "create", Handle: f.create},
		{Method: "PUT", Path: all, Rule: rule + "update", Audit: "update", Handle: f.set},
		{Method: "DELETE", Path: all, Rule: rule + "delete", Audit: "delete", Until: wire.DeleteInventories, Handle: f.tooOld},
		{Method: "DELETE", Path: all, Rule: rule + "delete", Audit: "delete", Since: wire.DeleteInventories, Handle: f.clear},
		{Method: "GET", Path: one, Rule: rule + "show", Handle: f.show},
		{Method: "PUT", Path: one, Rule: rule + "update", Audit: "update", Handle: f.update},
		{Method: "DELETE", Path: one, Rule: rule + "delete", Audit: "delete", Handle: f.delete},
		{Method: "GET", Path: "/resource_providers/{uuid}/usages", Rule: "placement:resource_providers:usages", Handle: f.usages},
	}
}

func view(i placement.Inventory) map[string]any {
	return map[string]any{"total": i.Total, "reserved": i.Reserved, "min_unit": i.MinUnit, "max_unit": i.MaxUnit, "step_size": i.StepSize, "allocation_ratio": i.AllocationRatio}
}

func one(i placement.Inventory, generation int64) map[string]any {
	body := view(i)
	body["resource_provider_generation"] = generation
	return body
}

func many(inventories map[string]placement.Inventory, generation int64) map[string]any {
	views := make(map[string]any, len(inventories))
	for class, i := range inventories {
		views[class] = view(i)
	}
	return map[string]any{"resource_provider_generation": generation, "inventories": views}
}

func (f *Feature) reply(c *rest.Call, status int, body any, at time.Time) (rest.Reply, error) {
	return rest.Reply{Status: status, Body: body, Header: wire.Fresh(c.Version, at, f.clock.Now())}, nil
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, 200, many(e.Inventories, e.Generation), e.UpdatedAt)
}

func (f *Feature) show(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	i, ok := e.Inventories[c.Var("class")]
	if !ok {
		return rest.Reply{}, fault.NotFoundf("No inventory of class %s for %s", c.Var("class"), e.UUID)
	}
	return f.reply(c, 200, one(i, e.Generation), e.UpdatedAt)
}

func (f *Feature) usages(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	used := placement.Resources{}
	for class := range e.Inventories {
		used[class] = e.Used[class]
	}
	return f.reply(c, 200, map[string]any{"resource_provider_generation": e.Generation, "usages": used}, time.Time{})
}

// begin checks the body's type and the provider, in that order.
func (f *Feature) begin(c *rest.Call) (generation int64, err error) {
	if err := wire.Sends(c.Request); err != nil {
		return 0, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return 0, err
	}
	return e.Generation, nil
}

func (f *Feature) create(c *rest.Call) (rest.Reply, error) {
	if _, err := f.begin(c); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		record
		Class      string `json:"resource_class" v:"required"`
		Generation int64  `json:"resource_provider_generation"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	uuid := c.Var("uuid")
	if !wire.ClassForm.MatchString(in.Class) {
		return rest.Reply{}, wire.BadField("'%s' does not match '%s'", in.Class, wire.ClassForm)
	}
	i := in.inventory()
	if err := capacity(c, uuid, in.Class, i); err != nil {
		return rest.Reply{}, wire.Prefix(err, fault.Invalid, "Unable to create inventory for resource provider "+uuid+": ")
	}
	next, err := f.store.AddInventory(c.Context(), uuid, in.Class, i)
	switch {
	case wire.Whose(err, fault.Invalid, wire.CodeNoClass):
		return rest.Reply{}, wire.Prefix(err, fault.Invalid, "Unable to create inventory for resource provider "+uuid+": ")
	case fault.Is(err, fault.Conflict):
		return rest.Reply{}, wire.Prefix(err, fault.Conflict, "Update conflict: ")
	case err != nil:
		return rest.Reply{}, err
	}
	reply, err := f.reply(c, 201, one(i, next), time.Time{})
	return reply.With("Location", c.Link("/resource_providers/"+uuid+"/inventories/"+in.Class)), err
}

func (f *Feature) set(c *rest.Call) (rest.Reply, error) {
	generation, err := f.begin(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Generation  int64             `json:"resource_provider_generation" v:"required"`
		Inventories map[string]listed `json:"inventories" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	if in.Generation != generation {
		return rest.Reply{}, fault.Conflictf("resource provider generation conflict").With(placement.CodeConcurrentUpdate)
	}
	uuid, want := c.Var("uuid"), map[string]placement.Inventory{}
	for class, r := range in.Inventories {
		want[class] = r.inventory()
		if err := capacity(c, uuid, class, want[class]); err != nil {
			return rest.Reply{}, wire.Prefix(err, fault.Invalid, "Unable to update inventory for resource provider "+uuid+": ")
		}
	}
	next, err := f.store.SetInventories(c.Context(), uuid, &in.Generation, want)
	switch {
	case wire.Whose(err, fault.Invalid, wire.CodeNoClass):
		return rest.Reply{}, wire.Prefix(err, fault.Invalid, "Unknown resource class in inventory for resource provider "+uuid+": ")
	case fault.Is(err, fault.Conflict):
		return rest.Reply{}, wire.Prefix(err, fault.Conflict, "update conflict: ")
	case err != nil:
		return rest.Reply{}, err
	}
	return f.reply(c, 200, many(want, next), time.Time{})
}

func (f *Feature) update(c *rest.Call) (rest.Reply, error) {
	generation, err := f.begin(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		record
		Generation int64 `json:"resource_provider_generation" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	if in.Generation != generation {
		return rest.Reply{}, fault.Conflictf("resource provider generation conflict").With(placement.CodeConcurrentUpdate)
	}
	uuid, class, i := c.Var("uuid"), c.Var("class"), in.inventory()
	if err := capacity(c, uuid, class, i); err != nil {
		return rest.Reply{}, wire.Prefix(err, fault.Invalid, "Unable to update inventory for resource provider "+uuid+": ")
	}
	next, err := f.store.UpdateInventory(c.Context(), uuid, in.Generation, class, i)
	switch {
	case wire.Whose(err, fault.NotFound, wire.CodeNoInventory):
		return rest.Reply{}, wire.Prefix(err, fault.Invalid, "No inventory record with resource class for resource provider "+uuid+": ")
	case wire.Whose(err, fault.Invalid, wire.CodeNoClass):
		return rest.Reply{}, wire.Prefix(err, fault.NotFound, "")
	case fault.Is(err, fault.Conflict):
		return rest.Reply{}, wire.Prefix(err, fault.Conflict, "update conflict: ")
	case err != nil:
		return rest.Reply{}, err
	}
	return f.reply(c, 200, one(i, next), time.Time{})
}

func (f *Feature) delete(c *rest.Call) (rest.Reply, error) {
	class := c.Var("class")
	err := f.store.DeleteInventory(c.Context(), c.Var("uuid"), class)
	switch {
	case fault.Is(err, fault.Conflict):
		return rest.Reply{}, fault.Conflictf("Unable to delete inventory of class %s: %s", class, fault.As(err).Text).With(placement.CodeConcurrentUpdate)
	case wire.Whose(err, fault.NotFound, wire.CodeNoInventory), wire.Whose(err, fault.Invalid, wire.CodeNoClass):
		return rest.Reply{}, wire.Prefix(err, fault.NotFound, "No inventory of class "+class+" found for delete: ")
	case err != nil:
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (f *Feature) clear(c *rest.Call) (rest.Reply, error) {
	if _, err := f.store.SetInventories(c.Context(), c.Var("uuid"), nil, nil); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// tooOld answers a method that the version does not have.
func (f *Feature) tooOld(*rest.Call) (rest.Reply, error) {
	return rest.Reply{}, fault.NotFoundf("The method specified is not allowed for this resource.").With(wire.CodeNoMethod)
}
