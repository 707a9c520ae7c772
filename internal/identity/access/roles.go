package access

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/identity"
)

// Graph is all roles and what they imply.
type Graph struct {
	Roles   map[string]identity.Role
	Implied map[string][]string // prior role id → implied role ids
}

// Closure adds every implied role to a list of role ids.
func (g Graph) Closure(ids []string) map[string]bool {
	seen := map[string]bool{}
	queue := slices.Clone(ids)
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		queue = append(queue, g.Implied[id]...)
	}
	return seen
}

// Effective gives the global roles among the closure, sorted by name.
func (g Graph) Effective(ids []string) []identity.Named {
	out := []identity.Named{}
	for id := range g.Closure(ids) {
		if r, ok := g.Roles[id]; ok && r.DomainID == "" {
			out = append(out, identity.Named{ID: r.ID, Name: r.Name})
		}
	}
	slices.SortFunc(out, func(a, b identity.Named) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out
}

// target is where assignments are looked for. ancestors are the projects above
// a project and its domain.
type target struct {
	project   string
	domain    string
	system    bool
	ancestors []string
}

// direct picks the ids of the roles that assignments give on a target.
func direct(list []identity.Assignment, t target) []string {
	var out []string
	for _, a := range list {
		var hit bool
		switch {
		case a.System:
			hit = t.system
		case a.Inherited:
			hit = t.project != "" && (slices.Contains(t.ancestors, a.ProjectID) || slices.Contains(t.ancestors, a.DomainID))
		case a.ProjectID != "":
			hit = t.project == a.ProjectID
		case a.DomainID != "":
			hit = t.domain == a.DomainID
		}
		if hit {
			out = append(out, a.RoleID)
		}
	}
	return out
}
