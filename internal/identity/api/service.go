package identityapi

import (
	"context"
	"runtime"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/access"
	"github.com/mekcloud/mek/internal/identity/assignments"
	"github.com/mekcloud/mek/internal/identity/auth"
	"github.com/mekcloud/mek/internal/identity/catalog"
	"github.com/mekcloud/mek/internal/identity/domainconfig"
	"github.com/mekcloud/mek/internal/identity/domains"
	"github.com/mekcloud/mek/internal/identity/endpointfilter"
	signon "github.com/mekcloud/mek/internal/identity/federation"
	"github.com/mekcloud/mek/internal/identity/groups"
	"github.com/mekcloud/mek/internal/identity/passwords"
	"github.com/mekcloud/mek/internal/identity/policies"
	"github.com/mekcloud/mek/internal/identity/projects"
	"github.com/mekcloud/mek/internal/identity/roles"
	"github.com/mekcloud/mek/internal/identity/tokens"
	"github.com/mekcloud/mek/internal/identity/users"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/reconcile"
)

// Deps are what the service stands on.
type Deps struct {
	DB            *db.DB
	Clock         clock.Clock
	Sealer        tokens.Sealer // for token keys and credentials
	Compliance    identity.Compliance
	TokenLifetime time.Duration  // 0: one hour
	Shared        bool           // other servers use the database
	PasswordCost  passwords.Cost // zero: the default; tests take less
	PublicURL     string         // scheme://host:port that catalogs show; empty: what the client used
	// Federation is which identity providers are spoken with, and how.
	Federation signon.Options
	// Logins orders those that cost a hash or a signature; nil: as many as come.
	Logins auth.Line
}

// Service is the identity service. Safe for concurrent use.
type Service struct {
	db            *db.DB
	clock         clock.Clock
	tokens        *tokens.Service
	access        *access.Resolver
	authenticator *tokens.Authenticator
	projects      *projects.Service
	users         *users.Service
	roles         *roles.Service
	groups        *groups.Service
	assignments   *assignments.Service
	grants        *assignments.API
	filters       *endpointfilter.Service
	catalog       *catalog.Service
	policies      *policies.Service
	login         *auth.Service
	auth          *auth.API
	domains       *domains.API
	domainConfig  *domainconfig.Service
	accessKeys    *accessKeys
	delegation
	federation
}

// journal writes audit records through the outbox.
type journal struct{ db *db.DB }

func (journal) Append(ctx context.Context, tx *db.Tx, r event.Record) error {
	return outbox.Write(ctx, tx, r)
}

// LoggedIn notes a login. The actor of the record is who logged in.
func (j journal) LoggedIn(ctx context.Context, t identity.Token) error {
	r := identity.Change("authenticate", "user", t.UserID)
	r.UserID, r.ProjectID = t.UserID, t.Scope.ProjectID
	r.Payload = map[string]any{"methods": t.Methods, "audit_id": t.AuditID()}
	return j.db.Write(ctx, func(tx *db.Tx) error { return outbox.Write(ctx, tx, r) })
}

// New puts the service together. On an empty database it makes the token keys.
func New(ctx context.Context, d Deps) (*Service, error) {
	j := journal{d.DB}
	s := &Service{db: d.DB, clock: d.Clock}
	var err error
	s.tokens, err = tokens.Open(ctx, tokens.Config{DB: d.DB, Clock: d.Clock, Sealer: d.Sealer, Journal: j, Lifetime: d.TokenLifetime,
		Shared: d.Shared})
	if err != nil {
		return nil, err
	}
	s.access = access.New(d.DB, d.Clock, s.tokens)
	s.authenticator = tokens.NewAuthenticator(s.tokens, s.access)
	if d.PasswordCost == (passwords.Cost{}) {
		d.PasswordCost = passwords.DefaultCost
	}
	hasher := passwords.New(d.PasswordCost, runtime.GOMAXPROCS(0))
	s.projects = projects.New(d.DB, d.Clock, s.tokens, s.access)
	s.users = users.New(users.Config{DB: d.DB, Clock: d.Clock, Changes: s.tokens, Hasher: hasher, Domains: s.projects, Compliance: d.Compliance})
	s.groups = groups.New(d.DB, d.Clock, s.tokens, s.users, s.projects)
	s.roles = roles.New(d.DB, d.Clock, s.tokens)
	s.assignments = assignments.NewService(d.DB, d.Clock, s.tokens)
	s.filters = endpointfilter.New(d.DB, d.Clock, s.tokens, s.tokens)
	s.catalog = catalog.New(d.DB, d.Clock, s.tokens, s.tokens, s.filters, d.PublicURL)
	s.policies = policies.New(d.DB, d.Clock, s.tokens, s.catalog)
	s.domains = domains.New(s.projects, d.Compliance)
	s.domainConfig = domainconfig.New(d.DB, s.tokens, d.Sealer)
	s.grants = assignments.New(s.assignments, assignments.Others{User: s.users.Get, Group: s.groups.Get, Project: s.projects.Get, Role: s.roles.Get,
		RoleView: roles.View, ProjectView: projects.View, DomainView: domains.View, Reach: s.reach})
	s.delegation = s.delegate(d, hasher)
	s.federation = s.federate(d)
	s.login = auth.NewService(auth.Config{Clock: d.Clock, Users: s.users, Projects: s.projects, AppCredentials: s.appCredentials, Trusts: s.trusts,
		Tokens: s.tokens, Receipts: s.tokens, Secrets: s.credentials, OAuth: s.oauth, Access: s.access, Log: j, Line: d.Logins})
	s.accessKeys = newAccessKeys(s)
	s.auth = auth.New(s.login, auth.Shown{Catalog: s.catalog, Reach: s.grants, Clouds: s.serviceProviders})
	return s, s.signOns(ctx, d)
}

func (s *Service) reach(ctx context.Context, user string, groups []string) (projects, domains []string, system bool, err error) {
	r, err := s.access.Reach(ctx, user, groups)
	return r.Projects, r.Domains, r.System, err
}

// Authenticator turns tokens into credentials for all services.
func (s *Service) Authenticator() *tokens.Authenticator { return s.authenticator }

// Projects finds projects for other services.
func (s *Service) Projects() identity.Projects { return s.projects }

// Reconcilers keep keys fresh, and this server informed of what others changed.
func (s *Service) Reconcilers() []reconcile.Reconciler {
	all := []reconcile.Reconciler{{Name: "identity.keys", Every: 10 * time.Minute, Run: s.tokens.Maintain}}
	if s.db.Engine() == db.Postgres { // SQLite has one server: this one
		all = append(all, reconcile.Reconciler{Name: "identity.epochs", Every: 250 * time.Millisecond, Run: s.tokens.Poll})
	}
	return all
}

// Heard takes what another server told under tokens.Topic.
func (s *Service) Heard(ctx context.Context) error { return s.tokens.Poll(ctx) }

// Topic is what Heard is for.
const Topic = tokens.Topic
