package access

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/identity"
)

// Reach is what a user may scope a token to.
type Reach struct {
	Projects []string // ids, sorted
	Domains  []string
	System   bool
}

// Reach lists the projects and domains on which a user has a role, directly,
// through groups, or inherited from above. groups are further ones that an identity
// provider said the user is in.
func (r *Resolver) Reach(ctx context.Context, user string, groups []string) (Reach, error) {
	s := r.reading()
	list, err := s.assignments(ctx, user, groups)
	if err != nil {
		return Reach{}, err
	}
	graph, err := r.Graph(ctx)
	if err != nil {
		return Reach{}, err
	}
	projects, domains, out := map[string]bool{}, map[string]bool{}, Reach{}
	for _, a := range list {
		if len(graph.Effective([]string{a.RoleID})) == 0 {
			continue
		}
		switch {
		case a.System:
			out.System = true
		case a.Inherited:
			below, err := s.projectsBelow(ctx, a.ProjectID+a.DomainID)
			if err != nil {
				return Reach{}, err
			}
			for _, id := range below {
				projects[id] = true
			}
		case a.ProjectID != "":
			projects[a.ProjectID] = true
		default:
			domains[a.DomainID] = true
		}
	}
	out.Projects, out.Domains = slices.Sorted(maps.Keys(projects)), slices.Sorted(maps.Keys(domains))
	return out, nil
}

// Effective gives the roles that a list of role ids stands for: implied ones
// too, without those of domains.
func (r *Resolver) Effective(ctx context.Context, ids []string) ([]identity.Named, error) {
	g, err := r.Graph(ctx)
	if err != nil {
		return nil, err
	}
	return g.Effective(ids), nil
}
