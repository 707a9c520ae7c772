package catalog

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for the catalog.
func Rules() []policy.Rule {
	rules := []policy.Rule{
		wire.Rule("get_region", "", wire.AllScopes, "Show a region."),
		wire.Rule("list_regions", "", wire.AllScopes, "List regions."),
	}
	for _, one := range []string{"service", "endpoint"} {
		rules = append(rules, wire.Rule("get_"+one, wire.AdminOrSystemReader, wire.SystemProject, "Show a row of the catalog."),
			wire.Rule("list_"+one+"s", wire.AdminOrSystemReader, wire.SystemProject, "List rows of the catalog."))
	}
	for _, one := range []string{"service", "endpoint", "region"} {
		for _, verb := range []string{"create", "update", "delete"} {
			rules = append(rules, wire.Rule(verb+"_"+one, wire.AdminRequired, wire.SystemProject, "Change the catalog."))
		}
	}
	return rules
}

type api struct{ s *Service }

// Routes are the operations on regions, services and endpoints.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	return []rest.Route{
		{Method: "GET", Path: "/v3/regions", Rule: "identity:list_regions", Handle: a.regions},
		{Method: "POST", Path: "/v3/regions", Rule: "identity:create_region", Audit: "create", Handle: a.createRegion},
		{Method: "GET", Path: "/v3/regions/{id}", Rule: "identity:get_region", Handle: a.region},
		{Method: "PUT", Path: "/v3/regions/{id}", Rule: "identity:create_region", Audit: "create", Extension: true, Handle: a.createRegion},
		{Method: "PATCH", Path: "/v3/regions/{id}", Rule: "identity:update_region", Audit: "update", Handle: a.updateRegion},
		{Method: "DELETE", Path: "/v3/regions/{id}", Rule: "identity:delete_region", Audit: "delete", Handle: a.deleteRegion},
		{Method: "GET", Path: "/v3/services", Rule: "identity:list_services", Handle: a.services},
		{Method: "POST", Path: "/v3/services", Rule: "identity:create_service", Audit: "create", Handle: a.createService},
		{Method: "GET", Path: "/v3/services/{id}", Rule: "identity:get_service", Handle: a.service},
		{Method: "PATCH", Path: "/v3/services/{id}", Rule: "identity:update_service", Audit: "update", Handle: a.updateService},
		{Method: "DELETE", Path: "/v3/services/{id}", Rule: "identity:delete_service", Audit: "delete", Handle: a.deleteService},
		{Method: "GET", Path: "/v3/endpoints", Rule: "identity:list_endpoints", Handle: a.endpoints},
		{Method: "POST", Path: "/v3/endpoints", Rule: "identity:create_endpoint", Audit: "create", Handle: a.createEndpoint},
		{Method: "GET", Path: "/v3/endpoints/{id}", Rule: "identity:get_endpoint", Object: true, Handle: a.endpoint},
		{Method: "PATCH", Path: "/v3/endpoints/{id}", Rule: "identity:update_endpoint", Object: true, Audit: "update", Handle: a.updateEndpoint},
		{Method: "DELETE", Path: "/v3/endpoints/{id}", Rule: "identity:delete_endpoint", Object: true, Audit: "delete", Handle: a.deleteEndpoint},
	}
}

// findEndpoint looks an endpoint up before it asks the rule, as upstream does here.
func (a *api) findEndpoint(c *rest.Call) (*identity.Endpoint, error) {
	return wire.Known(c, func() (*identity.Endpoint, error) { return a.s.EndpointByID(c.Context(), c.Var("id")) },
		func(*identity.Endpoint) policy.Target { return policy.Target{} })
}

func done(err error) (rest.Reply, error) {
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) regions(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Region]{Many: "regions", Filters: wire.Text("parent_region_id", "parent_id"), Load: a.s.Regions, View: regionView,
		ID: func(r *identity.Region) string { return r.ID }}.Reply(c)
}

type regionInput struct {
	ID          rest.Opt[string] `json:"id" v:"max=255"`
	ParentID    rest.Opt[string] `json:"parent_region_id" v:"max=255"`
	Description rest.Opt[string] `json:"description"`
}

func (a *api) createRegion(c *rest.Call) (rest.Reply, error) {
	var in regionInput
	extra, err := wire.Body(c, "region", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	r := identity.Region{ID: in.ID.V, ParentID: in.ParentID.V, Description: in.Description.V, Extra: extra}
	if id := c.Var("id"); id != "" {
		r.ID = id
	}
	made, err := a.s.CreateRegion(c.Context(), r)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"region": regionView(c, made)})
}

func (a *api) region(c *rest.Call) (rest.Reply, error) {
	r, err := a.s.Region(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"region": regionView(c, r)})
}

func (a *api) updateRegion(c *rest.Call) (rest.Reply, error) {
	var in regionInput
	extra, err := wire.Body(c, "region", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	r, err := a.s.UpdateRegion(c.Context(), c.Var("id"), func(r *identity.Region) {
		if in.ParentID.Set {
			r.ParentID = in.ParentID.V
		}
		if in.Description.Set {
			r.Description = in.Description.V
		}
		r.Extra = wire.Merge(r.Extra, extra)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"region": regionView(c, r)})
}

func (a *api) deleteRegion(c *rest.Call) (rest.Reply, error) {
	return done(a.s.DeleteRegion(c.Context(), c.Var("id")))
}

func (a *api) services(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Service]{Many: "services", Filters: append(wire.Text("name", "name"), wire.Text("type", "type")...),
		Load: a.s.Services, View: serviceView, ID: func(s *identity.Service) string { return s.ID }}.Reply(c)
}

type serviceInput struct {
	Type    string           `json:"type" v:"min=1,max=255"`
	Name    rest.Opt[string] `json:"name" v:"max=255"`
	Enabled *rest.Bool       `json:"enabled"`
}

func (in serviceInput) over(s *identity.Service) {
	if in.Type != "" {
		s.Type = in.Type
	}
	if in.Name.Set {
		s.Name = in.Name.V
	}
	if in.Enabled != nil {
		s.Enabled = bool(*in.Enabled)
	}
}

func (a *api) createService(c *rest.Call) (rest.Reply, error) {
	var in serviceInput
	extra, err := wire.Body(c, "service", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Type == "" {
		return rest.Reply{}, fault.Invalidf("'type' is a required property")
	}
	s := identity.Service{Enabled: true, Extra: extra}
	in.over(&s)
	made, err := a.s.CreateService(c.Context(), s)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"service": serviceView(c, made)})
}

func (a *api) service(c *rest.Call) (rest.Reply, error) {
	s, err := a.s.ServiceByID(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"service": serviceView(c, s)})
}

func (a *api) updateService(c *rest.Call) (rest.Reply, error) {
	var in serviceInput
	extra, err := wire.Body(c, "service", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	s, err := a.s.UpdateService(c.Context(), c.Var("id"), func(s *identity.Service) {
		in.over(s)
		s.Extra = wire.Merge(s.Extra, extra)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"service": serviceView(c, s)})
}

func (a *api) deleteService(c *rest.Call) (rest.Reply, error) {
	return done(a.s.DeleteService(c.Context(), c.Var("id")))
}

func (a *api) endpoints(c *rest.Call) (rest.Reply, error) {
	return wire.List[identity.Endpoint]{Many: "endpoints", Filters: []rest.Filter{wire.Text("interface", "interface")[0],
		wire.Text("service_id", "service_id")[0], wire.Text("region_id", "region_id")[0]},
		Load: a.s.Endpoints, View: a.s.EndpointView, ID: func(e *identity.Endpoint) string { return e.ID }}.Reply(c)
}

type endpointInput struct {
	ServiceID string           `json:"service_id" v:"max=64"`
	RegionID  rest.Opt[string] `json:"region_id" v:"max=255"`
	Region    rest.Opt[string] `json:"region" v:"max=255"` // the older name
	Interface string           `json:"interface" v:"enum=public|internal|admin"`
	URL       string           `json:"url" v:"min=1,max=2048"`
	Enabled   *bool            `json:"enabled"`
}

func (in endpointInput) over(e *identity.Endpoint) {
	if in.ServiceID != "" {
		e.ServiceID = in.ServiceID
	}
	if in.RegionID.Set {
		e.RegionID = in.RegionID.V
	} else if in.Region.Set {
		e.RegionID = in.Region.V
	}
	if in.Interface != "" {
		e.Interface = in.Interface
	}
	if in.URL != "" {
		e.URL = in.URL
	}
	if in.Enabled != nil {
		e.Enabled = *in.Enabled
	}
}

func (a *api) readEndpoint(c *rest.Call) (in endpointInput, extra map[string]any, err error) {
	extra, err = wire.Body(c, "endpoint", &in)
	if err == nil && !validAddress(in.URL) {
		err = fault.Invalidf("Invalid endpoint URL: unknown substitution in %s", in.URL)
	}
	return in, extra, err
}

func (a *api) createEndpoint(c *rest.Call) (rest.Reply, error) {
	in, extra, err := a.readEndpoint(c)
	if err != nil {
		return rest.Reply{}, err
	}
	for name, value := range map[string]string{"interface": in.Interface, "service_id": in.ServiceID, "url": in.URL} {
		if value == "" {
			return rest.Reply{}, fault.Invalidf("'%s' is a required property", name)
		}
	}
	e := identity.Endpoint{Enabled: true, Extra: extra}
	in.over(&e)
	made, err := a.s.CreateEndpoint(c.Context(), e)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"endpoint": a.s.EndpointView(c, made)})
}

func (a *api) endpoint(c *rest.Call) (rest.Reply, error) {
	e, err := a.findEndpoint(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"endpoint": a.s.EndpointView(c, e)})
}

func (a *api) updateEndpoint(c *rest.Call) (rest.Reply, error) {
	if _, err := a.findEndpoint(c); err != nil {
		return rest.Reply{}, err
	}
	in, extra, err := a.readEndpoint(c)
	if err != nil {
		return rest.Reply{}, err
	}
	e, err := a.s.UpdateEndpoint(c.Context(), c.Var("id"), func(e *identity.Endpoint) {
		in.over(e)
		e.Extra = wire.Merge(e.Extra, extra)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"endpoint": a.s.EndpointView(c, e)})
}

func (a *api) deleteEndpoint(c *rest.Call) (rest.Reply, error) {
	if _, err := a.findEndpoint(c); err != nil {
		return rest.Reply{}, err
	}
	return done(a.s.DeleteEndpoint(c.Context(), c.Var("id")))
}
