package identityapi

import (
	"context"
	"errors"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/assignments"
	"github.com/mekcloud/mek/internal/identity/auth"
	"github.com/mekcloud/mek/internal/identity/legacy"
	"github.com/mekcloud/mek/internal/identity/projects"
	"github.com/mekcloud/mek/internal/identity/users"
	"github.com/mekcloud/mek/internal/rest"
)

// legacy is what version 2.0 of the API stands on.
func (s *Service) legacy() legacy.Deps {
	return legacy.Deps{Users: s.users, Projects: s.projects, Roles: s.roles, Grants: s.assignments, Catalog: s.catalog, Guard: s.login.Guard, Revoke: s.tokens.Revoke,
		UpdateUser: func(ctx context.Context, id string, c legacy.UserChange) (*identity.User, error) {
			return s.users.Update(ctx, id, users.Change{Name: c.Name, DefaultProjectID: c.TenantID, Enabled: c.Enabled, Password: c.Password, Extra: c.Extra})
		},
		UpdateProject: func(ctx context.Context, id string, c legacy.ProjectChange) (*identity.Project, error) {
			return s.projects.Update(ctx, id, projects.Change{Name: c.Name, Description: c.Description, Enabled: c.Enabled, Extra: c.Extra})
		},
		UsersOn: s.usersOn,
		Reach: func(ctx context.Context, user string) ([]string, error) {
			r, err := s.access.Reach(ctx, user, nil)
			return r.Projects, err
		},
		Login: func(c *rest.Call, payload []byte) (legacy.Issued, error) {
			i, err := s.login.Login(c.Context(), auth.Attempt{Payload: payload, Remote: c.RemoteAddr})
			if errors.As(err, new(*auth.NeedsMore)) { // this version has no receipts
				err = fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(err)
			}
			return legacy.Issued(i), err
		},
		Inspect: func(ctx context.Context, secret string) (legacy.Issued, error) {
			t, x, err := s.authenticator.Validate(ctx, secret)
			return legacy.Issued{Secret: secret, Token: t, Access: x}, err
		}}
}

// usersOn lists the users with a role on a project, their own or a group's.
func (s *Service) usersOn(ctx context.Context, project string) ([]string, error) {
	list, err := s.assignments.List(ctx, assignments.Filter{ProjectID: project, Effective: true})
	var out []string
	for _, l := range list {
		if l.UserID != "" && !slices.Contains(out, l.UserID) {
			out = append(out, l.UserID)
		}
	}
	return out, err
}
