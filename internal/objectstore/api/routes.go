package objectstoreapi

import (
	"net/http"

	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// operation is a method on one level of the path.
type operation struct {
	method, rule, audit string
	variants            []string
}

const (
	accountPath   = "/v1/{account}"
	containerPath = "/v1/{account}/{container}"
	objectPath    = "/v1/{account}/{container}/{object...}"
)

var operations = map[string][]operation{
	accountPath: {
		{"GET", "objectstore:read_account", "", nil},
		{"HEAD", "objectstore:read_account", "", nil},
		{"POST", "objectstore:update_account", "update", []string{"?bulk-delete"}},
		{"PUT", "objectstore:create_account", "create", []string{"?extract-archive"}},
		{"DELETE", "objectstore:delete_account", "delete", []string{"?bulk-delete"}},
	},
	containerPath: {
		{"GET", "objectstore:read_container", "", []string{"?versions"}},
		{"HEAD", "objectstore:read_container", "", nil},
		{"POST", "objectstore:update_container", "update", nil},
		{"PUT", "objectstore:create_container", "create", []string{"?extract-archive"}},
		{"DELETE", "objectstore:delete_container", "delete", nil},
	},
	objectPath: {
		{"GET", "objectstore:read_object", "", []string{"?multipart-manifest=get", "?part-number", "?symlink=get", "?version-id"}},
		{"HEAD", "objectstore:read_object", "", nil},
		{"POST", "objectstore:update_object", "update", []string{"?temp_url_sig", "multipart/form-data"}},
		{"PUT", "objectstore:write_object", "create", []string{"?multipart-manifest=put", "X-Object-Manifest", "X-Symlink-Target", "?version-id"}},
		{"COPY", "objectstore:write_object", "copy", nil},
		{"DELETE", "objectstore:delete_object", "delete", []string{"?multipart-manifest=delete", "?version-id"}},
	},
}

// rules narrow what access lists and roles allow; upstream has none for Swift.
func rules() []policy.Rule {
	var out []policy.Rule
	for _, r := range [][2]string{
		{"read_account", "List an account's containers, read its attributes."},
		{"update_account", "Change an account's attributes."},
		{"create_account", "Make an account (resellers)."},
		{"delete_account", "Delete an account (resellers)."},
		{"read_container", "List a container's objects, read its attributes."},
		{"update_container", "Change a container's attributes."},
		{"create_container", "Make a container."},
		{"delete_container", "Delete a container."},
		{"read_object", "Read objects."},
		{"update_object", "Change an object's attributes."},
		{"write_object", "Write and copy objects."},
		{"delete_object", "Delete objects."},
		{"list_endpoints", "Ask from where an object's bytes can be had."},
	} {
		out = append(out, policy.Rule{Name: "objectstore:" + r[0], Check: policy.Any, Description: r[1] +
			" Access lists and operator roles decide first; this rule narrows them. The target has account, container, object and project_id."})
	}
	return out
}

func (s *Service) routes() []rest.Route {
	routes := []rest.Route{
		{Method: http.MethodGet, Path: "/info", Open: true, Raw: true, Handle: s.info.show},
		{Method: http.MethodHead, Path: "/info", Open: true, Raw: true, Handle: s.info.show},
		{Method: http.MethodOptions, Path: "/info", Open: true, Raw: true, Audit: "ask", Handle: s.info.options},
		{Method: http.MethodGet, Path: "/endpoints/{account}/{container}/{object...}", Rule: "objectstore:list_endpoints", Anonymous: true, Raw: true, Handle: s.endpoints},
		{Method: http.MethodGet, Path: "/healthcheck", Open: true, Raw: true, Handle: healthcheck},
	}
	for _, path := range []string{accountPath, containerPath, objectPath} {
		routes = append(routes, rest.Route{Method: http.MethodOptions, Path: path, Open: true, Raw: true, Audit: "ask", Handle: s.options})
		for _, o := range operations[path] {
			routes = append(routes, rest.Route{Method: o.method, Path: path, Rule: o.rule, Anonymous: true, Raw: true, Audit: o.audit,
				Variants: o.variants, Handle: s.serve})
		}
	}
	return routes
}

func healthcheck(*rest.Call) (rest.Reply, error) {
	return rest.Reply{Status: http.StatusOK, Body: []byte("OK"), Header: http.Header{"Content-Type": {"text/plain; charset=UTF-8"}}}, nil
}
