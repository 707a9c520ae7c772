package imageapi

import (
	"net/http"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/images"
	"github.com/mekcloud/mek/internal/rest"
)

// minors are the minor versions of v2 that are served, the current one first.
// 2.17 is the newest of a Glance without an image cache.
var minors = []string{"2.17", "2.16", "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0"}

func (s *Service) discovery() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) { return rest.Answer(http.StatusMultipleChoices, versions(c)) }},
		{Method: "GET", Path: "/versions", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) { return rest.OK(versions(c)) }},
		{Method: "GET", Path: "/v2", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) { return rest.OK(versions(c)) }},
		{Method: "GET", Path: "/v2/info/import", Rule: "default", Handle: s.importInfo},
		{Method: "GET", Path: "/v2/info/stores", Rule: "default", Handle: storesInfo},
		{Method: "GET", Path: "/v2/info/stores/detail", Rule: "stores_info_detail", Handle: storesDetail},
		{Method: "DELETE", Path: "/v2/stores/{store}/{id}", Rule: "delete_image_location", Object: true, Audit: "delete", Handle: s.deleteFromStore},
		{Method: "GET", Path: "/v2/info/usage", Rule: "default", Handle: s.usage},
		{Method: "GET", Path: "/v2/info/violations", Rule: "context_is_admin", Extension: true, Handle: s.violations},
	}
}

func versions(c *rest.Call) map[string]any {
	out := []map[string]any{}
	for i, minor := range minors {
		status := "SUPPORTED"
		if i == 0 {
			status = "CURRENT"
		}
		out = append(out, map[string]any{"id": "v" + minor, "status": status, "links": []map[string]string{{"rel": "self", "href": c.Link("/v2/")}}})
	}
	return map[string]any{"versions": out}
}

func (s *Service) importInfo(*rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"import-methods": map[string]any{"description": "Import methods available.", "type": "array",
		"value": s.methods}})
}

func storesInfo(*rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"stores": []map[string]string{{"id": images.StoreID, "description": "Files of the cloud", "default": "true"}}})
}

func storesDetail(*rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"stores": []map[string]any{{"id": images.StoreID, "description": "Files of the cloud", "default": "true", "type": "file",
		"weight": 0, "properties": map[string]any{"chunk_size": 1 << 20, "thin_provisioning": false}}}})
}

// deleteFromStore never has another store to leave the image in.
func (s *Service) deleteFromStore(c *rest.Call) (rest.Reply, error) {
	i, _, err := s.images.Find(c)
	switch {
	case err != nil:
		return rest.Reply{}, err
	case c.Var("store") != images.StoreID:
		return rest.Reply{}, fault.Conflictf("The selected store %s is not available on this node.", c.Var("store"))
	case i.Status != image.Active:
		return rest.Reply{}, fault.Conflictf("It's not allowed to remove image data from store if image status is not 'active'")
	}
	return rest.Reply{}, fault.Forbiddenf("Cannot delete image data from the only store containing it. Consider deleting the image instead.")
}

func (s *Service) usage(c *rest.Call) (rest.Reply, error) {
	limits, used, err := s.images.Usage(c.Context(), c.Auth.ProjectID)
	if err != nil {
		return rest.Reply{}, err
	}
	out := map[string]any{}
	for name, limit := range limits {
		out[name] = map[string]int64{"limit": limit, "usage": used[name]}
	}
	return rest.OK(map[string]any{"usage": out})
}

// violations compares records with bytes, for mek doctor; with ?deep=true it
// reads every byte.
func (s *Service) violations(c *rest.Call) (rest.Reply, error) {
	found, err := s.Verify(c.Context(), c.Values().Get("deep") == "true")
	if err != nil {
		return rest.Reply{}, err
	}
	out := make([]map[string]any, len(found))
	for i, v := range found {
		out[i] = map[string]any{"code": v.Code, "object": v.Object, "evidence": v.Evidence}
	}
	return rest.OK(map[string]any{"violations": out})
}
