package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// Generation counts changes of identity rows, as this server has seen them.
type Generation interface{ Generation() int64 }

// Resolver computes and caches access. Safe for concurrent use.
type Resolver struct {
	db         *db.DB
	clock      clock.Clock
	generation Generation
	cache      *otter.Cache[key, entry]

	mu    sync.Mutex
	graph Graph
	known int64 // generation of graph
}

type key struct {
	user, project, domain, trust, appCredential, oauth string
	federation                                         string // provider, protocol and groups
	system                                             bool
}

type entry struct {
	generation int64
	until      int64 // µs; 0: as long as no row changes
	access     *identity.Access
}

// cacheSize bounds the memory of the cache: about 1 KiB each.
const cacheSize = 20000

// New makes a resolver.
func New(d *db.DB, c clock.Clock, g Generation) *Resolver {
	return &Resolver{db: d, clock: c, generation: g, known: -1,
		cache: otter.Must(&otter.Options[key, entry]{MaximumSize: cacheSize})}
}

// Resolve tells what a token is worth now. It does not query when the same was
// asked before and no identity row has changed since. Unauthenticated when the
// token is worth nothing: its user, project, domain, trust or application
// credential is gone, disabled or past its end, or no role is left.
func (r *Resolver) Resolve(ctx context.Context, t identity.Token) (*identity.Access, error) {
	k := key{user: t.UserID, project: t.Scope.ProjectID, domain: t.Scope.DomainID, trust: t.Scope.TrustID,
		appCredential: t.AppCredentialID, oauth: t.OAuthID, system: t.Scope.System, federation: keyOf(t.Federation)}
	now := r.generation.Generation() // before the rows are read: they may be newer, never older
	if e, ok := r.cache.GetIfPresent(k); ok && e.generation == now && (e.until == 0 || clock.Micros(r.clock.Now()) < e.until) {
		return e.access, r.ended(e.access)
	}
	s := r.reading()
	a, err := r.compute(ctx, s, t, now)
	if err != nil {
		return nil, err
	}
	r.cache.Set(k, entry{now, s.until, a})
	return a, r.ended(a)
}

func (r *Resolver) ended(a *identity.Access) error {
	if !a.ExpiresBy.IsZero() && !r.clock.Now().Before(a.ExpiresBy) {
		return worthless("the credential behind the token has ended")
	}
	return nil
}

func (r *Resolver) reading() *store { return &store{q: r.db, now: clock.Micros(r.clock.Now())} }

func (r *Resolver) compute(ctx context.Context, s *store, t identity.Token, generation int64) (*identity.Access, error) {
	u, err := s.user(ctx, t.UserID)
	if err != nil {
		return nil, missing(err, "user")
	}
	if !u.enabled {
		return nil, worthless("the user or its domain is disabled")
	}
	a := &identity.Access{User: u.Named, UserDomain: u.domain, Shadow: u.shadow, System: t.Scope.System, Federation: t.Federation}
	if err := s.vouched(ctx, t.Federation); err != nil {
		return nil, err
	}
	if u.passwordExpiresAt != 0 {
		a.PasswordExpiresAt = clock.FromMicros(u.passwordExpiresAt)
	}
	where, err := r.target(ctx, s, t, a)
	if err != nil {
		return nil, err
	}
	graph, err := r.roleGraph(ctx, s, generation)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Scope.TrustID != "":
		err = r.lend(ctx, s, graph, t, where, a)
	case t.AppCredentialID != "":
		err = r.narrow(ctx, s, graph, t, where, a)
	case t.OAuthID != "":
		err = r.granted(ctx, s, graph, t, where, a)
	default:
		var list []identity.Assignment
		if list, err = s.assignments(ctx, t.UserID, groupsOf(t)); err == nil {
			a.Roles = graph.Effective(direct(list, where))
		}
	}
	if err != nil {
		return nil, err
	}
	if !t.Scope.Unscoped() && len(a.Roles) == 0 {
		return nil, worthless("the user has no role there")
	}
	return a, nil
}

// target fills the scope's names and finds where assignments count.
func (r *Resolver) target(ctx context.Context, s *store, t identity.Token, a *identity.Access) (target, error) {
	where := target{project: t.Scope.ProjectID, domain: t.Scope.DomainID, system: t.Scope.System}
	id := t.Scope.ProjectID
	if id == "" {
		id = t.Scope.DomainID
	}
	if id == "" {
		return where, nil
	}
	p, err := s.project(ctx, id)
	if err != nil {
		return where, missing(err, "scope")
	}
	if !p.enabled || (t.Scope.DomainID != "" && !p.isDomain) {
		return where, worthless("the scope or its domain is disabled")
	}
	if t.Scope.DomainID != "" {
		a.Domain = p.Named
		return where, nil
	}
	a.Project, a.ProjectDomain, a.IsDomain = p.Named, p.domain, p.isDomain
	where.ancestors, err = s.ancestors(ctx, id)
	return where, err
}

// narrow keeps those roles of an application credential that its user still has.
func (r *Resolver) narrow(ctx context.Context, s *store, g Graph, t identity.Token, where target, a *identity.Access) error {
	c, err := s.appCredential(ctx, t.AppCredentialID)
	if err != nil {
		return missing(err, "application credential")
	}
	if c.UserID != t.UserID || c.ProjectID != t.Scope.ProjectID {
		return worthless("the application credential is for something else")
	}
	list, err := s.assignments(ctx, t.UserID, groupsOf(t))
	if err != nil {
		return err
	}
	has := g.Closure(direct(list, where))
	for _, role := range c.Roles {
		if has[role.ID] {
			a.Roles = append(a.Roles, role)
		}
	}
	a.AppCredential, a.ExpiresBy = c, c.ExpiresAt
	return nil
}

// granted keeps those roles of an OAuth access token that its user still has.
func (r *Resolver) granted(ctx context.Context, s *store, g Graph, t identity.Token, where target, a *identity.Access) error {
	o, err := s.oauth(ctx, t.OAuthID)
	if err != nil {
		return missing(err, "access token")
	}
	if o.UserID != t.UserID || o.ProjectID != t.Scope.ProjectID {
		return worthless("the access token is for something else")
	}
	list, err := s.assignments(ctx, t.UserID, groupsOf(t))
	if err != nil {
		return err
	}
	has := g.Closure(direct(list, where))
	var lent []string
	for _, id := range o.RoleIDs {
		if has[id] {
			lent = append(lent, id)
		}
	}
	a.Roles = g.Effective(lent)
	a.OAuth, a.ExpiresBy = o, o.ExpiresAt
	return nil
}

// lend gives the roles of a trust, as long as the trustor has every one of them.
func (r *Resolver) lend(ctx context.Context, s *store, g Graph, t identity.Token, where target, a *identity.Access) error {
	trust, err := s.trust(ctx, t.Scope.TrustID)
	if err != nil {
		return missing(err, "trust")
	}
	root, end, err := r.root(ctx, s, trust)
	if err != nil {
		return err
	}
	trustor, err := s.user(ctx, trust.TrustorID)
	if err != nil {
		return missing(err, "trustor")
	}
	trustee, err := s.user(ctx, trust.TrusteeID)
	if err != nil {
		return missing(err, "trustee")
	}
	if !trustor.enabled || !trustee.enabled || t.UserID != trustee.ID || trust.ProjectID != t.Scope.ProjectID {
		return worthless("the trust does not hold")
	}
	a.Trust, a.ExpiresBy = trust, end
	if trust.Impersonation {
		a.User, a.UserDomain, a.Shadow = trustor.Named, trustor.domain, trustor.shadow
	}
	if trust.ProjectID == "" {
		return nil
	}
	list, err := s.assignments(ctx, root, nil)
	if err != nil {
		return err
	}
	has := g.Closure(direct(list, where))
	lent := make([]string, len(trust.Roles))
	for i, role := range trust.Roles {
		lent[i] = role.ID
	}
	for id := range g.Closure(lent) {
		if !has[id] {
			return worthless("the trustor no longer has the roles of the trust")
		}
	}
	a.Roles = g.Effective(lent)
	return nil
}

// root follows a trust that was made from another to whom its roles are from,
// and finds the earliest end on the way. Every agent between must be enabled.
func (r *Resolver) root(ctx context.Context, s *store, t *identity.Trust) (owner string, end time.Time, err error) {
	owner, end = t.TrustorID, t.ExpiresAt
	for n := 0; t.RedelegatedID != "" && n < 16; n++ {
		if t, err = s.trust(ctx, t.RedelegatedID); err != nil {
			return "", end, missing(err, "trust")
		}
		agent, err := s.user(ctx, t.TrusteeID)
		if err != nil {
			return "", end, missing(err, "trustee")
		}
		if !agent.enabled {
			return "", end, worthless("one of the trust's agents is disabled")
		}
		if owner = t.TrustorID; end.IsZero() || (!t.ExpiresAt.IsZero() && t.ExpiresAt.Before(end)) {
			end = t.ExpiresAt
		}
	}
	return owner, end, nil
}

// roleGraph caches the roles of all, which nearly every computation needs.
func (r *Resolver) roleGraph(ctx context.Context, s *store, generation int64) (Graph, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == generation {
		return r.graph, nil
	}
	g, err := s.graph(ctx)
	if err == nil {
		r.graph, r.known = g, generation
	}
	return g, err
}

// Graph gives all roles and implications as they are now.
func (r *Resolver) Graph(ctx context.Context) (Graph, error) {
	return r.roleGraph(ctx, r.reading(), r.generation.Generation())
}

// Roles gives the effective roles of a user on a scope; none when the user,
// the scope or the assignments are missing.
func (r *Resolver) Roles(ctx context.Context, user string, scope identity.Scope) ([]identity.Named, error) {
	a, err := r.Resolve(ctx, identity.Token{UserID: user, Scope: scope})
	if fault.Is(err, fault.Unauthenticated) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a.Roles, nil
}

// Has tells whether a user has any effective role on a scope.
func (r *Resolver) Has(ctx context.Context, user string, scope identity.Scope) (bool, error) {
	roles, err := r.Roles(ctx, user, scope)
	return len(roles) > 0, err
}

// missing turns a row that is gone into the answer for a dead token.
func missing(err error, what string) error {
	if fault.Is(err, fault.NotFound) {
		return worthless(what + " does not exist")
	}
	return err
}

func worthless(why string) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(errors.New(why))
}
