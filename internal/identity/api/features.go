package identityapi

import (
	"slices"

	"github.com/mekcloud/mek/internal/identity/appcreds"
	"github.com/mekcloud/mek/internal/identity/credentials"
	"github.com/mekcloud/mek/internal/identity/limits"
	"github.com/mekcloud/mek/internal/identity/oauth1"
	"github.com/mekcloud/mek/internal/identity/passwords"
	"github.com/mekcloud/mek/internal/identity/roles"
	"github.com/mekcloud/mek/internal/identity/trusts"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// delegation is the features by which users give programs and each other less
// than they have, and what hangs on users and projects besides.
type delegation struct {
	appCredentials *appcreds.Service
	trusts         *trusts.Service
	credentials    *credentials.Service
	limits         *limits.Service
	oauth          *oauth1.Service
}

func (s *Service) delegate(d Deps, hasher *passwords.Hasher) delegation {
	return delegation{
		appCredentials: appcreds.New(d.DB, d.Clock, s.tokens, hasher),
		trusts:         trusts.New(d.DB, d.Clock, s.tokens),
		credentials:    credentials.New(d.DB, d.Clock, s.tokens, d.Sealer),
		oauth:          oauth1.New(d.DB, d.Clock, s.tokens, d.Sealer),
		limits: limits.New(d.DB, d.Clock, s.tokens, limits.Others{Service: s.catalog.ServiceByID, Region: s.catalog.Region,
			Project: s.projects.Get}),
	}
}

func delegationRules() []policy.Rule {
	return slices.Concat(appcreds.Rules(), trusts.Rules(), credentials.Rules(), limits.Rules(), oauth1.Rules())
}

func (s *Service) delegationRoutes() []rest.Route {
	return slices.Concat(s.appCredentials.Routes(s.roles),
		s.trusts.Routes(trusts.Others{User: s.users.Get, Project: s.projects.Get, Role: s.roles.Get, RoleName: s.roles.ByName, RoleView: roles.View, Roles: s.access.Roles}),
		s.credentials.Routes(credentials.Others{User: s.users.Get, Project: s.projects.Get, Trust: s.trusts.Get, Issue: s.auth.Issue}), s.limits.Routes(),
		s.oauth.Routes(oauth1.Others{Project: s.projects.Get, Role: s.roles.Get, RoleView: roles.View, Roles: s.access.Roles}))
}
