package flavors

import (
	"net/http"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

type api struct {
	flavors       *Flavors
	brief, detail *rest.Resource[compute.Flavor]
}

// Routes are the operations of flavors, their specs and their access.
func (s *Flavors) Routes() []rest.Route {
	a := &api{flavors: s}
	a.brief, a.detail = a.resource(false), a.resource(true)
	known := rest.Known(compute.StrictEverywhere, "limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir")
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/flavors", Rule: ruleRead, Query: known, Handle: a.list(a.brief)},
		{Method: "GET", Path: "/v2.1/flavors/detail", Rule: ruleRead, Query: known, Handle: a.list(a.detail)},
		{Method: "POST", Path: "/v2.1/flavors", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.1/flavors/{id}", Rule: ruleRead, Handle: a.show},
		{Method: "PUT", Path: "/v2.1/flavors/{id}", Rule: ruleUpdate, Audit: "update", Since: compute.FlavorDescription, Handle: a.update},
		{Method: "DELETE", Path: "/v2.1/flavors/{id}", Rule: ruleDelete, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v2.1/flavors/{id}/os-flavor-access", Rule: ruleAccess, Handle: a.access},
		{Method: "POST", Path: "/v2.1/flavors/{id}/action", Actions: map[string]rest.Action{
			"addTenantAccess": {Rule: ruleAccessAdd, Handle: a.grant}, "removeTenantAccess": {Rule: ruleAccessDrop, Handle: a.revoke}}},
		{Method: "GET", Path: "/v2.1/flavors/{id}/os-extra_specs", Rule: ruleSpecsIndex, Handle: a.specs},
		{Method: "POST", Path: "/v2.1/flavors/{id}/os-extra_specs", Rule: ruleSpecsCreate, Audit: "update", Handle: a.addSpecs},
		{Method: "GET", Path: "/v2.1/flavors/{id}/os-extra_specs/{key}", Rule: ruleSpecsShow, Handle: a.spec},
		{Method: "PUT", Path: "/v2.1/flavors/{id}/os-extra_specs/{key}", Rule: ruleSpecsUpdate, Audit: "update", Handle: a.setSpec},
		{Method: "DELETE", Path: "/v2.1/flavors/{id}/os-extra_specs/{key}", Rule: ruleSpecsDelete, Audit: "update", Handle: a.dropSpec},
	}
}

// list confines callers who may not manage access to what they may use.
func (a *api) list(r *rest.Resource[compute.Flavor]) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var more []listing.Term
		asked := c.Values().Get("is_public")
		if !c.Allow(ruleAccess, c.Caller()) {
			more = append(more, listing.Term{Column: usableBy, Values: []any{c.Auth.ProjectID}})
		} else if asked == "" {
			more = append(more, listing.Term{Column: usableBy, Values: []any{c.Auth.ProjectID}})
		}
		body, err := r.ListBody(c, more...)
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(body)
	}
}

// find loads a flavor as this caller may see it.
func (a *api) find(c *rest.Call) (*compute.Flavor, error) {
	project := c.Auth.ProjectID
	if c.Allow(ruleAccess, c.Caller()) {
		project = ""
	}
	f, err := a.flavors.Get(c.Context(), c.Var("id"), project)
	if fault.Is(err, fault.NotFound) {
		err = notFound(c.Var("id"))
	}
	return f, err
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	f, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.detail.Body(c, f))
}

type createBody struct {
	Flavor struct {
		Name        string           `json:"name" v:"required,name,min=1,max=255"`
		ID          rest.Opt[any]    `json:"id"`
		RAM         rest.Int         `json:"ram" v:"required,min=1,max=2147483647"`
		VCPUs       rest.Int         `json:"vcpus" v:"required,min=1,max=2147483647"`
		Disk        rest.Int         `json:"disk" v:"required,min=0,max=2147483647"`
		Ephemeral   rest.Int         `json:"OS-FLV-EXT-DATA:ephemeral" v:"min=0,max=2147483647"`
		Swap        rest.Int         `json:"swap" v:"min=0,max=2147483647"`
		RXTX        any              `json:"rxtx_factor"`
		Public      *rest.Bool       `json:"os-flavor-access:is_public"`
		Description rest.Opt[string] `json:"description" since:"2.55" v:"max=65535"`
	} `json:"flavor" v:"required"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in createBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	flavorID, err := chosenID(in.Flavor.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	factor, err := factorOf(in.Flavor.RXTX)
	if err != nil {
		return rest.Reply{}, err
	}
	f := &compute.Flavor{ID: flavorID, Name: in.Flavor.Name, VCPUs: int(in.Flavor.VCPUs), MemoryMiB: int(in.Flavor.RAM), RootGiB: int(in.Flavor.Disk),
		EphemGiB: int(in.Flavor.Ephemeral), SwapMiB: int(in.Flavor.Swap), RXTXFactor: factor,
		Public: in.Flavor.Public == nil || bool(*in.Flavor.Public), ExtraSpecs: map[string]string{},
		Description: in.Flavor.Description.V, Described: in.Flavor.Description.Set && !in.Flavor.Description.Null}
	if err := a.flavors.Create(c.Context(), f, c.Event("flavor", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.detail.Body(c, f))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Flavor struct {
			Description rest.Opt[string] `json:"description" v:"required,max=65535"`
		} `json:"flavor" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	d := in.Flavor.Description
	f, err := a.flavors.Describe(c.Context(), c.Var("id"), d.V, !d.Null, c.Event("flavor", c.Var("id"), ""))
	if err != nil {
		return rest.Reply{}, missing(c, err)
	}
	return rest.OK(a.detail.Body(c, f))
}

func (a *api) remove(c *rest.Call) (rest.Reply, error) {
	if err := a.flavors.Delete(c.Context(), c.Var("id"), c.Event("flavor", c.Var("id"), "")); err != nil {
		return rest.Reply{}, missing(c, err)
	}
	return rest.Answer(http.StatusAccepted, nil)
}

func missing(c *rest.Call, err error) error {
	if fault.Is(err, fault.NotFound) && fault.As(err).Text == "Flavor "+c.Var("id")+" could not be found." {
		return notFound(c.Var("id"))
	}
	return err
}
