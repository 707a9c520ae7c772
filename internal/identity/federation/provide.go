package federation

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/mapping"
)

// groups finds those that a mapping puts a user into. One that is named by its id
// must exist; one that is named by its name need not.
func (s *Service) groups(ctx context.Context, result mapping.Result) ([]string, error) {
	var out []string
	add := func(id string) {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, id := range result.GroupIDs {
		if _, err := s.Groups.Get(ctx, id); err != nil {
			return nil, gone(err, errGroup)
		}
		add(id)
	}
	for _, named := range result.Groups {
		domain, err := s.domain(ctx, named.Domain, "")
		if fault.Is(err, fault.Unauthenticated) {
			continue // of a domain that does not exist
		}
		if err != nil {
			return nil, err
		}
		g, err := s.Groups.ByName(ctx, domain, named.Name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		add(g.ID)
	}
	if len(out) > identity.MaxFederatedGroups {
		return nil, refused(errGroups)
	}
	return out, nil
}

// wanted is a project that a mapping gives a user roles on.
type wanted struct {
	domain, name string
	roles        []string // ids
}

// wanted finds the domains and roles of a mapping's projects, before anything is
// made for one of them.
func (s *Service) wanted(ctx context.Context, userDomain, providerDomain string, projects []mapping.Project) ([]wanted, error) {
	if len(projects) == 0 {
		return nil, nil
	}
	all, err := s.Roles.All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]wanted, len(projects))
	for i, p := range projects {
		out[i].name = p.Name
		if out[i].domain, err = s.domain(ctx, p.Domain, providerDomain); err != nil {
			return nil, err
		}
		for _, named := range p.Roles {
			id := ""
			for _, r := range all {
				if r.Name == named.Name && (r.DomainID == "" || r.DomainID == userDomain && id == "") {
					id = r.ID
				}
			}
			if id == "" {
				return nil, refused(errRole)
			}
			out[i].roles = append(out[i].roles, id)
		}
	}
	return out, nil
}

// provide makes projects that are not there and gives the user his roles on them.
// exact takes from him those on projects that the provider did not name.
func (s *Service) provide(ctx context.Context, u *identity.User, projects []wanted, exact bool) error {
	if len(projects) == 0 && !exact {
		return nil
	}
	given, err := s.Assignments.Given(ctx, u.ID)
	if err != nil {
		return err
	}
	var should []identity.Assignment
	for _, w := range projects {
		p, err := s.project(ctx, w)
		if err != nil {
			return err
		}
		for _, role := range w.roles {
			should = append(should, identity.Assignment{UserID: u.ID, ProjectID: p.ID, RoleID: role})
		}
	}
	for _, a := range should {
		if !slices.Contains(given, a) {
			if err := s.Assignments.Assign(ctx, a); err != nil {
				return err
			}
		}
	}
	for _, a := range given {
		if exact && a.ProjectID != "" && !slices.Contains(should, a) {
			if err := s.Assignments.Revoke(ctx, a); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	}
	return nil
}

func (s *Service) project(ctx context.Context, w wanted) (*identity.Project, error) {
	p, err := s.Projects.ByName(ctx, w.domain, w.name)
	if !fault.Is(err, fault.NotFound) {
		return p, err
	}
	p, err = s.Projects.Create(ctx, identity.Project{Name: w.name, DomainID: w.domain, ParentID: w.domain, Enabled: true})
	if fault.Is(err, fault.Conflict) { // another login made it a moment ago
		return s.Projects.ByName(ctx, w.domain, w.name)
	}
	return p, err
}
