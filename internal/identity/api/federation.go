package identityapi

import (
	"context"
	"slices"

	signon "github.com/mekcloud/mek/internal/identity/federation"
	"github.com/mekcloud/mek/internal/identity/identityproviders"
	"github.com/mekcloud/mek/internal/identity/mappings"
	"github.com/mekcloud/mek/internal/identity/serviceproviders"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// federation is the features by which other installations vouch for users here,
// and this one for users elsewhere.
type federation struct {
	identityProviders *identityproviders.Service
	mappings          *mappings.Service
	serviceProviders  *serviceproviders.Service
	vouching          *signon.Service
	signOn            *signon.API
}

func (s *Service) federate(d Deps) federation {
	m := mappings.New(d.DB, d.Clock, s.tokens)
	return federation{identityProviders: identityproviders.New(d.DB, d.Clock, s.tokens, s.projects, m), mappings: m,
		serviceProviders: serviceproviders.New(d.DB, d.Clock, s.tokens, s.tokens, func(ctx context.Context) error { return s.vouching.Prepare(ctx) })}
}

// signOns lets in whom identity providers vouch for.
func (s *Service) signOns(ctx context.Context, d Deps) (err error) {
	options := d.Federation
	options.Prefix = prefix
	s.vouching, err = signon.New(ctx, signon.Deps{DB: d.DB, Clock: d.Clock, Sealer: d.Sealer, Providers: s.identityProviders, Mappings: s.federation.mappings,
		ServiceProviders: s.serviceProviders, Users: s.users, Groups: s.groups, Projects: s.projects, Roles: s.roles, Assignments: s.assignments,
		Login: s.login, Inspect: s.authenticator.Validate, Line: d.Logins, Options: options})
	s.signOn = signon.NewAPI(s.vouching, s.auth)
	return err
}

func federationRules() []policy.Rule {
	return slices.Concat(identityproviders.Rules(), mappings.Rules(), serviceproviders.Rules())
}

func (s *Service) federationRoutes() []rest.Route {
	return slices.Concat(s.identityProviders.Routes(), s.federation.mappings.Routes(), s.serviceProviders.Routes(), s.signOn.Routes())
}
