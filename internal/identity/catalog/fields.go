package catalog

import (
	"maps"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// View is the catalog as a token carries it, for a project (or none) and user.
func (s *Service) View(c *rest.Call, project, user string) ([]map[string]any, error) {
	offers, err := s.offers(c.Context())
	if err != nil {
		return nil, err
	}
	shown, err := s.filter.Shown(c.Context(), project)
	if err != nil {
		return nil, err
	}
	root := s.rootFor(c)
	out := make([]map[string]any, 0, len(offers))
	for _, o := range offers {
		endpoints := make([]map[string]any, 0, len(o.endpoints))
		for _, e := range o.endpoints {
			if shown != nil && !shown(e) {
				continue
			}
			if url, ok := address(e.URL, root, project, user); ok {
				endpoints = append(endpoints, map[string]any{"id": e.ID, "interface": e.Interface, "region": wire.OrNull(e.RegionID),
					"region_id": wire.OrNull(e.RegionID), "url": url})
			}
		}
		if len(endpoints) > 0 || shown == nil {
			out = append(out, map[string]any{"id": o.service.ID, "type": o.service.Type, "name": o.service.Name, "endpoints": endpoints})
		}
	}
	return out, nil
}

func (s *Service) rootFor(c *rest.Call) string {
	if s.root != "" {
		return s.root
	}
	return c.Root()
}

func regionView(c *rest.Call, r *identity.Region) map[string]any {
	return wire.With(map[string]any{"id": r.ID, "description": r.Description, "parent_region_id": wire.OrNull(r.ParentID),
		"links": wire.Self(c, "/regions/"+r.ID)}, r.Extra)
}

func serviceView(c *rest.Call, s *identity.Service) map[string]any {
	return wire.With(map[string]any{"id": s.ID, "type": s.Type, "name": s.Name, "enabled": s.Enabled, "links": wire.Self(c, "/services/"+s.ID)}, s.Extra)
}

// EndpointView is an endpoint as the API shows it.
func (s *Service) EndpointView(c *rest.Call, e *identity.Endpoint) map[string]any {
	extra := maps.Clone(e.Extra)
	delete(extra, identity.LegacyEndpoint)
	return wire.With(map[string]any{"id": e.ID, "service_id": e.ServiceID, "region": wire.OrNull(e.RegionID), "region_id": wire.OrNull(e.RegionID),
		"interface": e.Interface, "url": absolute(e.URL, s.rootFor(c)), "enabled": e.Enabled, "links": wire.Self(c, "/endpoints/"+e.ID)}, extra)
}
