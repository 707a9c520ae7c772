package app

import (
	_ "embed" // the operation tables
	"strings"

	"github.com/mekcloud/mek/internal/rest"
)

// operations.tsv is the published API: service, method, path and action of
// every current operation. What is in it and not built answers 501.
//
//go:embed operations.tsv
var operations string

// planned lists a service's published operations with paths as routes spell them.
func planned(s *rest.Service) []rest.Planned {
	var out []rest.Planned
	for line := range strings.Lines(operations) {
		cell := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(cell) != 4 || cell[0] != s.Name {
			continue
		}
		action := ""
		if strings.HasSuffix(cell[2], "/action") {
			action = cell[3]
		}
		out = append(out, rest.Planned{Method: cell[1], Path: routePath(s.Name, cell[2]), Action: action})
	}
	return out
}

// routePath puts the version in front where the reference leaves it out, and
// takes the project id away that the framework accepts everywhere.
func routePath(service, path string) string {
	path = strings.TrimSuffix(path, "/")
	switch service {
	case "nova":
		if path == "" || strings.HasPrefix(path, "/{api_version}") {
			return "/v2.1"
		}
		return "/v2.1" + path
	case "cinder":
		return strings.NewReplacer("/v3/{project_id}", "/v3", "/v3/{admin_project_id}", "/v3").Replace(path)
	}
	if path == "" {
		return "/"
	}
	return path
}
