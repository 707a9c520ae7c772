package identityapi

import (
	"slices"

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
}

func (s *Service) federate(d Deps) federation {
	m := mappings.New(d.DB, d.Clock, s.tokens)
	return federation{identityProviders: identityproviders.New(d.DB, d.Clock, s.tokens, s.projects, m), mappings: m,
		serviceProviders: serviceproviders.New(d.DB, d.Clock, s.tokens)}
}

func federationRules() []policy.Rule {
	return slices.Concat(identityproviders.Rules(), mappings.Rules(), serviceproviders.Rules())
}

func (s *Service) federationRoutes() []rest.Route {
	return slices.Concat(s.identityProviders.Routes(), s.federation.mappings.Routes(), s.serviceProviders.Routes())
}
