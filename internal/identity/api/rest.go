package identityapi

import (
	"slices"

	"github.com/mekcloud/mek/internal/identity/assignments"
	"github.com/mekcloud/mek/internal/identity/auth"
	"github.com/mekcloud/mek/internal/identity/catalog"
	"github.com/mekcloud/mek/internal/identity/domainconfig"
	"github.com/mekcloud/mek/internal/identity/domains"
	"github.com/mekcloud/mek/internal/identity/endpointfilter"
	"github.com/mekcloud/mek/internal/identity/groups"
	"github.com/mekcloud/mek/internal/identity/legacy"
	"github.com/mekcloud/mek/internal/identity/policies"
	"github.com/mekcloud/mek/internal/identity/projects"
	"github.com/mekcloud/mek/internal/identity/roles"
	"github.com/mekcloud/mek/internal/identity/users"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// prefix is where the service stands at the front door.
const prefix = "/identity"

// REST is the API for the front door.
func (s *Service) REST() *rest.Service {
	return &rest.Service{
		Name: "keystone", Type: "identity", Prefix: prefix, Alias: legacy.AdminPrefix, Dialect: wire.Dialect(),
		Rules: slices.Concat(auth.Rules(), projects.Rules(), domains.Rules(), domainconfig.Rules(), users.Rules(), groups.Rules(), roles.Rules(),
			assignments.Rules(), catalog.Rules(), policies.Rules(), endpointfilter.Rules(), delegationRules(), federationRules()),
		Routes: slices.Concat(versionRoutes(), wire.Routes(slices.Concat(s.auth.Routes(), s.projects.Routes(), s.domains.Routes(), s.domainConfig.Routes(s.domains.Domain), s.users.Routes(s.login.Guard),
			s.groups.Routes(), s.roles.Routes(), s.grants.Routes(), s.catalog.Routes(), s.policies.Routes(s.catalog.EndpointView),
			s.filters.Routes(endpointfilter.Others{Endpoint: s.catalog.EndpointByID, Endpoints: s.catalog.Endpoints, EndpointView: s.catalog.EndpointView,
				Project: s.projects.Get, ProjectView: projects.View}), s.delegationRoutes(), s.federationRoutes(), legacy.Routes(s.legacy())))),
	}
}
