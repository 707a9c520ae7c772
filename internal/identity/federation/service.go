package federation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/mapping"
)

// Providers finds identity providers and their protocols; NotFound.
type Providers interface {
	Get(ctx context.Context, id string) (*identity.IdentityProvider, error)
	Protocol(ctx context.Context, provider, protocol string) (*identity.Protocol, error)
}

// Mappings finds the rules of a mapping; NotFound.
type Mappings interface {
	Rules(ctx context.Context, id string) (*mapping.Rules, error)
}

// ServiceProviders finds clouds that this one vouches to; NotFound.
type ServiceProviders interface {
	Get(ctx context.Context, id string) (*identity.ServiceProvider, error)
}

// Users finds users, and makes those whom a provider brings.
type Users interface {
	Get(ctx context.Context, id string) (*identity.User, error)
	ByName(ctx context.Context, domainID, name string) (*identity.User, error)
	Shadow(ctx context.Context, n identity.Newcomer) (*identity.User, error)
	Arrived(ctx context.Context, u *identity.User) error
}

// Groups finds groups, and puts users into them for a time.
type Groups interface {
	Get(ctx context.Context, id string) (*identity.Group, error)
	ByName(ctx context.Context, domainID, name string) (*identity.Group, error)
	JoinUntil(ctx context.Context, user, provider string, groups []string, until time.Time) error
	NamesOf(ctx context.Context, user string) ([]identity.NamedIn, error)
}

// Projects finds projects and domains, and makes projects.
type Projects interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
	ByName(ctx context.Context, domainID, name string) (*identity.Project, error)
	Create(ctx context.Context, p identity.Project) (*identity.Project, error)
}

// Roles finds all roles.
type Roles interface {
	All(ctx context.Context) (map[string]*identity.Role, error)
}

// Assignments gives and takes roles.
type Assignments interface {
	Given(ctx context.Context, user string) ([]identity.Assignment, error)
	Assign(ctx context.Context, a identity.Assignment) error
	Revoke(ctx context.Context, a identity.Assignment) error
}

// Login makes tokens, and counts logins that fail.
type Login interface {
	Guard(account, remote string, attempt func() error) error
	Vouched(ctx context.Context, v identity.Vouched) (identity.Issued, error)
}

// Line has places for work that keeps a processor busy; those that are free go round
// the addresses that wait. Unavailable when ctx ends before.
type Line interface {
	Enter(ctx context.Context, address string) (leave func(), err error)
}

// Inspect opens a token and tells what it is worth; Unauthenticated when it is dead.
type Inspect func(ctx context.Context, token string) (identity.Token, *identity.Access, error)

// Sealer encrypts with a key of the installation.
type Sealer interface {
	Seal(name string, secret []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

// Deps are what a Service stands on.
type Deps struct {
	DB               *db.DB
	Clock            clock.Clock
	Sealer           Sealer
	Providers        Providers
	Mappings         Mappings
	ServiceProviders ServiceProviders
	Users            Users
	Groups           Groups
	Projects         Projects
	Roles            Roles
	Assignments      Assignments
	Login            Login
	Inspect          Inspect
	Line             Line // nil: as many as come
	Options          Options
}

// Service lets in whom identity providers vouch for. Safe for concurrent use.
type Service struct {
	Deps
	store  store
	setups map[party]*setup
	keys   keys
}

// New makes the service, and the key that it signs with if a provider speaks SAML.
func New(ctx context.Context, d Deps) (*Service, error) {
	s := &Service{Deps: d, store: newStore(d.Sealer)}
	s.setups = s.setUp(d.Options.Providers)
	for _, one := range s.setups {
		if one.saml != nil {
			return s, s.Prepare(ctx)
		}
	}
	return s, nil
}

// party is one protocol of one identity provider.
type party struct{ provider, protocol string }

// said is what a provider said of somebody, checked for whose word it is.
type said struct {
	issuer string
	claims map[string][]string
}

var (
	errRemote = errors.New("the provider's identifier is not one of its remote ids")
	errGroup  = errors.New("the mapping names a group that does not exist")
	errGroups = errors.New("the mapping puts the user into more groups than a token holds")
	errRole   = errors.New("the mapping names a role that does not exist, or is of another domain")
	errDomain = errors.New("the mapping names a domain that does not exist")
	errUser   = errors.New("the mapping names a user that does not exist")
)

func refused(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}

// gone makes what a mapping names and nobody has a reason not to let somebody in.
func gone(err, why error) error {
	if fault.Is(err, fault.NotFound) {
		return refused(errors.Join(why, err))
	}
	return err
}

// known finds a party in the API's tables. Forbidden: the provider is disabled.
func (s *Service) known(ctx context.Context, p party) (*identity.IdentityProvider, *identity.Protocol, error) {
	provider, err := s.Providers.Get(ctx, p.provider)
	if err != nil {
		return nil, nil, err
	}
	if !provider.Enabled {
		return nil, nil, fault.Forbiddenf("Identity Provider %s is disabled", provider.ID)
	}
	protocol, err := s.Providers.Protocol(ctx, p.provider, p.protocol)
	return provider, protocol, err
}

// admit lets in whom a provider vouches for, which prove finds out under the limits
// of logins.
func (s *Service) admit(ctx context.Context, p party, remote string, prove func() (said, error)) (identity.Issued, error) {
	var what said
	err := s.Login.Guard("", remote, func() (err error) {
		what, err = prove()
		return err
	})
	if err != nil {
		return identity.Issued{}, err
	}
	provider, protocol, err := s.known(ctx, p)
	if err != nil {
		return identity.Issued{}, err
	}
	if len(provider.RemoteIDs) > 0 && !slices.Contains(provider.RemoteIDs, what.issuer) {
		return identity.Issued{}, fault.Forbiddenf("Incoming identity provider identifier not included among the accepted identifiers.").Because(errRemote)
	}
	rules, err := s.Mappings.Rules(ctx, protocol.MappingID)
	if err != nil {
		return identity.Issued{}, gone(err, nil)
	}
	return s.Login.Vouched(ctx, identity.Vouched{Method: p.protocol, Remote: remote, Who: func(ctx context.Context) (*identity.User, *identity.Federation, error) {
		result, err := rules.Apply(what.claims)
		if err != nil {
			return nil, nil, err
		}
		if result.User.Type == mapping.Local {
			u, err := s.local(ctx, result.User)
			if err == nil {
				err = s.Users.Arrived(ctx, u)
			}
			return u, nil, err
		}
		return s.ephemeral(ctx, p, provider, result)
	}})
}

// local finds the user of this cloud that a provider means.
func (s *Service) local(ctx context.Context, u mapping.User) (*identity.User, error) {
	if u.ID != "" {
		found, err := s.Users.Get(ctx, u.ID)
		return found, gone(err, errUser)
	}
	domain, err := s.domain(ctx, u.Domain, "")
	if err != nil {
		return nil, err
	}
	found, err := s.Users.ByName(ctx, domain, u.Name)
	return found, gone(err, errUser)
}

// ephemeral makes, or finds again, a user whom nobody but the provider knows.
func (s *Service) ephemeral(ctx context.Context, p party, provider *identity.IdentityProvider, result mapping.Result) (*identity.User, *identity.Federation, error) {
	domain, err := s.domain(ctx, result.User.Domain, provider.DomainID)
	if err != nil {
		return nil, nil, err
	}
	groups, err := s.groups(ctx, result)
	if err != nil {
		return nil, nil, err
	}
	wanted, err := s.wanted(ctx, domain, provider.DomainID, result.Projects)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.Users.Shadow(ctx, identity.Newcomer{
		FederatedIdentity: identity.FederatedIdentity{ProviderID: p.provider, ProtocolID: p.protocol, UniqueID: result.User.ID},
		Name:              result.User.Name, DomainID: domain, Email: result.User.Email})
	if err != nil {
		return nil, nil, err
	}
	if err := s.provide(ctx, u, wanted, result.Exact); err != nil {
		return nil, nil, err
	}
	if life := s.membership(provider); life > 0 && len(groups) > 0 {
		if err := s.Groups.JoinUntil(ctx, u.ID, provider.ID, groups, s.Clock.Now().Add(life)); err != nil {
			return nil, nil, err
		}
	}
	return u, &identity.Federation{ProviderID: p.provider, ProtocolID: p.protocol, Groups: groups}, nil
}

// membership is how long users stay in the groups that a provider puts them into,
// for what outlives their tokens; 0: it does not.
func (s *Service) membership(p *identity.IdentityProvider) time.Duration {
	if p.AuthorizationTTL != nil {
		return time.Duration(*p.AuthorizationTTL) * time.Minute
	}
	return s.Options.AuthorizationTTL
}

// domain finds the domain that a mapping names; none: the one given instead.
func (s *Service) domain(ctx context.Context, d mapping.Domain, instead string) (string, error) {
	switch {
	case d.ID != "":
		found, err := s.Projects.Get(ctx, d.ID)
		if err == nil && !found.IsDomain {
			err = fault.NotFoundf("Could not find domain: %s.", d.ID)
		}
		return d.ID, gone(err, errDomain)
	case d.Name != "":
		found, err := s.Projects.ByName(ctx, "", d.Name)
		if err != nil {
			return "", gone(err, errDomain)
		}
		return found.ID, nil
	case instead == "":
		return "", refused(errDomain)
	}
	return instead, nil
}
