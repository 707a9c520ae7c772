package legacy

import (
	"errors"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) catalogRoutes() []rest.Route {
	const services, one = "/v2.0/OS-KSADM/services", "/v2.0/OS-KSADM/services/{id}"
	return []rest.Route{
		{Method: "GET", Path: services, Rule: admin, Extension: true, Handle: a.listServices},
		{Method: "POST", Path: services, Rule: admin, Audit: "create", Extension: true, Handle: a.createService},
		{Method: "GET", Path: one, Rule: admin, Extension: true, Handle: a.showService},
		{Method: "DELETE", Path: one, Rule: admin, Audit: "delete", Extension: true, Handle: a.deleteService},
		{Method: "GET", Path: "/v2.0/endpoints", Rule: admin, Extension: true, Handle: a.listEndpoints},
		{Method: "POST", Path: "/v2.0/endpoints", Rule: admin, Audit: "create", Extension: true, Handle: a.createEndpoint},
		{Method: "DELETE", Path: "/v2.0/endpoints/{id}", Rule: admin, Audit: "delete", Extension: true, Handle: a.deleteEndpoint},
	}
}

const serviceKey = "OS-KSADM:service"

func serviceView(s *identity.Service) map[string]any {
	return wire.With(map[string]any{"id": s.ID, "name": s.Name, "type": s.Type, "enabled": s.Enabled}, s.Extra)
}

func (a *api) listServices(c *rest.Call) (rest.Reply, error) {
	return list("OS-KSADM:services", serviceView)(a.Catalog.Services(c.Context(), listing.Query{}))
}

func (a *api) createService(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Name string `json:"name" v:"max=255"`
		Type string `json:"type" v:"required,min=1,max=255"`
	}
	extra, err := wire.Body(c, serviceKey, &in)
	if err != nil {
		return rest.Reply{}, err
	}
	return answer(serviceKey, serviceView)(a.Catalog.CreateService(c.Context(), identity.Service{Name: in.Name, Type: in.Type, Enabled: true, Extra: extra}))
}

func (a *api) showService(c *rest.Call) (rest.Reply, error) {
	return answer(serviceKey, serviceView)(a.Catalog.ServiceByID(c.Context(), c.Var("id")))
}

func (a *api) deleteService(c *rest.Call) (rest.Reply, error) {
	return done(a.Catalog.DeleteService(c.Context(), c.Var("id")))
}

// group is the member of an endpoint of version 3 that says to which endpoint
// of this version it belongs: one of those has up to three addresses.
const group = identity.LegacyEndpoint

var faces = map[string]string{"public": "publicurl", "internal": "internalurl", "admin": "adminurl"}

func (a *api) listEndpoints(c *rest.Call) (rest.Reply, error) {
	all, err := a.Catalog.Endpoints(c.Context(), listing.Query{})
	if err != nil {
		return rest.Reply{}, err
	}
	byID, out := map[string]map[string]any{}, []map[string]any{}
	for _, e := range all {
		of, _ := e.Extra[group].(string) // empty for those made by version 3
		if of == "" {
			of = e.ID
		}
		if byID[of] == nil {
			byID[of] = map[string]any{"id": of, "region": e.RegionID, "service_id": e.ServiceID, "enabled": e.Enabled}
			out = append(out, byID[of])
		}
		byID[of][faces[e.Interface]] = e.URL
	}
	return rest.OK(map[string]any{"endpoints": out})
}

func (a *api) createEndpoint(c *rest.Call) (rest.Reply, error) {
	var in struct {
		ServiceID string           `json:"service_id" v:"required,max=64"`
		Region    string           `json:"region" v:"max=255"`
		Public    string           `json:"publicurl" v:"required,min=1,max=2048"`
		Internal  rest.Opt[string] `json:"internalurl" v:"max=2048"`
		Admin     rest.Opt[string] `json:"adminurl" v:"max=2048"`
	}
	if _, err := wire.Body(c, "endpoint", &in); err != nil {
		return rest.Reply{}, err
	}
	of := id.Hex()
	view := map[string]any{"id": of, "region": in.Region, "service_id": in.ServiceID, "publicurl": in.Public}
	for _, face := range []struct{ name, url string }{{"public", in.Public}, {"internal", in.Internal.V}, {"admin", in.Admin.V}} {
		if face.url == "" {
			continue
		}
		_, err := a.Catalog.CreateEndpoint(c.Context(), identity.Endpoint{ServiceID: in.ServiceID, RegionID: in.Region, Interface: face.name,
			URL: face.url, Enabled: true, Extra: map[string]any{group: of}})
		if err != nil {
			return rest.Reply{}, err
		}
		view[faces[face.name]] = face.url
	}
	return rest.OK(map[string]any{"endpoint": view})
}

// deleteEndpoint removes all addresses of an endpoint of this version.
func (a *api) deleteEndpoint(c *rest.Call) (rest.Reply, error) {
	all, err := a.Catalog.Endpoints(c.Context(), listing.Query{})
	if err != nil {
		return rest.Reply{}, err
	}
	var failed error
	there := false
	for _, e := range all {
		if e.Extra[group] == c.Var("id") || e.ID == c.Var("id") {
			there = true
			failed = errors.Join(failed, a.Catalog.DeleteEndpoint(c.Context(), e.ID))
		}
	}
	if !there {
		failed = fault.NotFoundf("Could not find endpoint: %s.", c.Var("id"))
	}
	return done(failed)
}

// services is the catalog of a token: one entry per region of a service, with
// its addresses by kind.
func (a *api) services(c *rest.Call, x *identity.Access) ([]map[string]any, error) {
	list, err := a.Catalog.View(c, x.Project.ID, x.User.ID)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, s := range list {
		regions, entries := map[any]map[string]any{}, []map[string]any{}
		endpoints, _ := s["endpoints"].([]map[string]any) // that is what View gives
		for _, e := range endpoints {
			region := e["region_id"]
			if regions[region] == nil {
				regions[region] = map[string]any{"id": e["id"], "region": region}
				entries = append(entries, regions[region])
			}
			face, _ := e["interface"].(string)
			regions[region][face+"URL"] = e["url"]
		}
		out = append(out, map[string]any{"type": s["type"], "name": s["name"], "endpoints": entries, "endpoints_links": []any{}})
	}
	return out, nil
}

func (a *api) endpointsOfToken(c *rest.Call) (rest.Reply, error) {
	i, err := a.subject(c)
	if err != nil {
		return rest.Reply{}, err
	}
	services, err := a.services(c, i.Access)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, s := range services {
		endpoints, _ := s["endpoints"].([]map[string]any)
		for _, e := range endpoints {
			e["name"], e["type"] = s["name"], s["type"]
			out = append(out, e)
		}
	}
	return rest.OK(map[string]any{"endpoints": out, "endpoints_links": []any{}})
}
