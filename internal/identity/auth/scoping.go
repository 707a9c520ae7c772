package auth

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// chosen turns what a login asks for into a scope. Whether the user has a role
// there is for Access to say.
func (s *Service) chosen(ctx context.Context, req request, w who) (identity.Scope, error) {
	sc := req.scope
	switch {
	case w.appCred != nil:
		return identity.Scope{ProjectID: w.appCred.ProjectID}, nil
	case w.oauth != nil:
		return identity.Scope{ProjectID: w.oauth.ProjectID}, nil
	case sc.unscoped:
		return identity.Scope{}, nil
	case sc.system:
		return identity.Scope{System: true}, nil
	case sc.project != nil:
		return s.project(ctx, sc.project)
	case sc.domain != nil:
		d, err := s.domain(ctx, sc.domain)
		if err != nil {
			return identity.Scope{}, noScope(err)
		}
		return identity.Scope{DomainID: d.ID}, nil
	case sc.trust != "":
		t, err := s.Trusts.Get(ctx, sc.trust)
		if err != nil {
			return identity.Scope{}, noScope(err)
		}
		if t.TrusteeID != w.user.ID {
			return identity.Scope{}, fault.Forbiddenf("User is not a trustee.")
		}
		return identity.Scope{ProjectID: t.ProjectID, TrustID: t.ID}, nil
	case w.parent != nil && w.parent.AppCredentialID != "":
		return w.parent.Scope, nil // such a token has no other scope to go to
	}
	return s.byDefault(ctx, w.user)
}

func (s *Service) project(ctx context.Context, n *named) (identity.Scope, error) {
	var p *identity.Project
	var err error
	if n.ID != "" {
		p, err = s.Projects.Get(ctx, n.ID)
	} else {
		var d *identity.Project
		if d, err = s.domain(ctx, n.Domain); err == nil {
			p, err = s.Projects.ByName(ctx, d.ID, n.Name)
			if fault.Is(err, fault.NotFound) && d.Name == n.Name { // a domain is a project of its own name
				p, err = d, nil
			}
		}
	}
	if err != nil {
		return identity.Scope{}, noScope(err)
	}
	return identity.Scope{ProjectID: p.ID}, nil
}

// noScope gives a scope that does not exist the answer of a wrong password.
func noScope(err error) error {
	if fault.Is(err, fault.NotFound) {
		return refused(errNoScope)
	}
	return err
}

// byDefault scopes to the user's default project when that works, and to
// nothing otherwise.
func (s *Service) byDefault(ctx context.Context, u *identity.User) (identity.Scope, error) {
	if u.DefaultProjectID == "" {
		return identity.Scope{}, nil
	}
	sc := identity.Scope{ProjectID: u.DefaultProjectID}
	_, err := s.Access.Resolve(ctx, identity.Token{UserID: u.ID, Scope: sc})
	if fault.Is(err, fault.Unauthenticated) {
		return identity.Scope{}, nil
	}
	return sc, err
}
