package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// Users finds users and checks passwords. Verify takes nil for a user that
// does not exist, and takes as long for it.
type Users interface {
	Get(ctx context.Context, id string) (*identity.User, error)
	ByName(ctx context.Context, domainID, name string) (*identity.User, error)
	Verify(ctx context.Context, u *identity.User, password string) error
}

// Projects finds projects and domains.
type Projects interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
	ByName(ctx context.Context, domainID, name string) (*identity.Project, error)
}

// AppCredentials finds application credentials and checks their secrets.
// Verify takes nil for one that does not exist, and takes as long for it.
type AppCredentials interface {
	Get(ctx context.Context, id string) (*identity.AppCredential, error)
	ByName(ctx context.Context, userID, name string) (*identity.AppCredential, error)
	Verify(ctx context.Context, c *identity.AppCredential, secret string) error
}

// Trusts finds trusts. Consume takes one use; Forbidden when none is left.
type Trusts interface {
	Get(ctx context.Context, id string) (*identity.Trust, error)
	Consume(ctx context.Context, id string) error
}

// Tokens makes, opens and ends tokens.
type Tokens interface {
	// Stamp is a moment for Token.IssuedAt, later than every one before.
	Stamp() time.Time
	// Refresh learns what other servers changed; nothing where there are none.
	Refresh(ctx context.Context) error
	Issue(t identity.Token, chain string) (string, identity.Token, error)
	Read(token string, grace time.Duration) (identity.Token, error)
	Alive(t identity.Token, a *identity.Access) error
	Revoke(ctx context.Context, t identity.Token) error
	Revocations(ctx context.Context) ([]identity.Revocation, error)
}

// Access tells what a token is worth.
type Access interface {
	Resolve(ctx context.Context, t identity.Token) (*identity.Access, error)
}

// Receipts says which methods of a login have held, for one that needs more.
type Receipts interface {
	IssueReceipt(user string, methods []string, began time.Time) (string, identity.Receipt, error)
	ReadReceipt(text string) (identity.Receipt, error)
}

// Secrets gives the secrets that a user shares with programs that show
// one-time codes.
type Secrets interface {
	Blobs(ctx context.Context, userID, kind string) ([]string, error)
}

// OAuth finds the access token that a login is signed with.
type OAuth interface {
	Verify(ctx context.Context, r identity.SignedRequest) (*identity.OAuthAccess, error)
}

// Line has places for logins that cost a hash; those that are free go round the
// addresses that wait. Unavailable when ctx ends before.
type Line interface {
	Enter(ctx context.Context, address string) (leave func(), err error)
}

// Log notes successful logins in the audit log.
type Log interface {
	LoggedIn(ctx context.Context, t identity.Token) error
}

// Config is what a Service needs.
type Config struct {
	Clock          clock.Clock
	Users          Users
	Projects       Projects
	AppCredentials AppCredentials
	Trusts         Trusts
	Tokens         Tokens
	Receipts       Receipts
	Secrets        Secrets
	OAuth          OAuth
	Access         Access
	Log            Log
	Line           Line // nil: as many as come
}

// Service logs in. Safe for concurrent use.
type Service struct {
	Config
	limits *limiter
}

// NewService makes the service.
func NewService(cfg Config) *Service { return &Service{cfg, newLimiter(cfg.Clock)} }

var (
	errNoUser       = errors.New("no such user or domain")
	errNoScope      = errors.New("no such scope")
	errTwoUsers     = errors.New("methods are for different users")
	errAppScope     = errors.New("application credentials cannot request a scope")
	errNotFederated = errors.New("no identity provider vouched for the token")
	errNoAppCred    = errors.New("no such application credential")
)

func refused(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}

// who is what the methods of a login have established.
type who struct {
	user    *identity.User
	methods []string
	parent  *identity.Token
	appCred *identity.AppCredential
	oauth   *identity.OAuthAccess
}

// Attempt is a login as it came.
type Attempt struct {
	Payload []byte
	Remote  string // the client's address, for limits
	Receipt string // of an attempt that needed more methods, or empty
	Signed  identity.SignedRequest
}

// Login makes a token. NeedsMore when the methods hold, but the user's rules
// ask for more.
func (s *Service) Login(ctx context.Context, in Attempt) (identity.Issued, error) {
	req, err := parse(in.Payload)
	if err != nil {
		return identity.Issued{}, err
	}
	req.receipt, req.signed = in.Receipt, in.Signed
	return s.try(ctx, req, in.Remote)
}

// ByClientCredentials makes the token of an application credential, as OAuth
// 2.0 asks for one.
func (s *Service) ByClientCredentials(ctx context.Context, id, secret, remote string) (identity.Issued, error) {
	return s.try(ctx, request{methods: []string{identity.MethodAppCredential}, appCred: &appCredData{named: named{ID: id}, Secret: &secret}}, remote)
}

// try runs a login under the limits.
func (s *Service) try(ctx context.Context, req request, remote string) (identity.Issued, error) {
	a, err := s.limits.begin(req.account(), remote)
	if err != nil {
		return identity.Issued{}, err
	}
	if err := s.Tokens.Refresh(ctx); err != nil { // roles may have been given a moment ago, at another server
		return identity.Issued{}, err
	}
	if s.Line != nil && (req.password != nil || req.appCred != nil) {
		leave, err := s.Line.Enter(ctx, remote)
		if err != nil {
			return identity.Issued{}, err
		}
		defer leave()
	}
	began := s.Tokens.Stamp()
	w, err := s.establish(ctx, req)
	if fault.Is(err, fault.Unauthenticated) {
		s.limits.failed(a)
	}
	if err != nil {
		return identity.Issued{}, err
	}
	return s.login(ctx, req, w, began)
}

// Guard runs an attempt to prove who somebody is under the limits of logins: it
// is refused when too many failed, and counted when it fails.
func (s *Service) Guard(account, remote string, attempt func() error) error {
	a, err := s.limits.begin(account, remote)
	if err != nil {
		return err
	}
	if err = attempt(); fault.Is(err, fault.Unauthenticated) {
		s.limits.failed(a)
	}
	return err
}

// account names whom a login is for, whether or not there is such a user.
func (r *request) account() string {
	switch {
	case r.password != nil && r.password.User.ID != "":
		return r.password.User.ID
	case r.password != nil:
		d := r.password.User.Domain
		return d.ID + "/" + d.Name + "/" + r.password.User.Name
	case r.totp != nil && r.totp.User.ID != "":
		return r.totp.User.ID
	case r.totp != nil:
		return r.totp.User.Domain.ID + "/" + r.totp.User.Domain.Name + "/" + r.totp.User.Name
	case r.appCred != nil:
		return r.appCred.ID + "/" + r.appCred.Name
	}
	return ""
}

// login makes the token of somebody whose methods held. It is issued as of the
// moment the login began: what ended the user's tokens since ends it too.
func (s *Service) login(ctx context.Context, req request, w who, began time.Time) (identity.Issued, error) {
	if !enough(w.user.Options, w.methods) {
		return identity.Issued{}, s.unfinished(ctx, w, began)
	}
	scope, err := s.chosen(ctx, req, w)
	if err != nil {
		return identity.Issued{}, err
	}
	t := identity.Token{UserID: w.user.ID, Methods: w.methods, Scope: scope, IssuedAt: began}
	chain := ""
	if w.parent != nil {
		t.ExpiresAt, t.AppCredentialID, chain = w.parent.ExpiresAt, w.parent.AppCredentialID, w.parent.ChainID()
		t.Federation = w.parent.Federation
	}
	if w.appCred != nil {
		t.AppCredentialID = w.appCred.ID
	}
	if w.oauth != nil {
		t.OAuthID = w.oauth.ID
	}
	return s.issue(ctx, t, chain, w.parent == nil)
}

// Issue makes a token for a user whose claim another feature has verified.
func (s *Service) Issue(ctx context.Context, t identity.Token) (identity.Issued, error) {
	return s.issue(ctx, t, "", true)
}

// issue makes a token if it is worth something. first says that it begins a chain.
func (s *Service) issue(ctx context.Context, t identity.Token, chain string, first bool) (identity.Issued, error) {
	access, err := s.Access.Resolve(ctx, t)
	if err != nil {
		return identity.Issued{}, err
	}
	if end := access.ExpiresBy; !end.IsZero() && (t.ExpiresAt.IsZero() || end.Before(t.ExpiresAt)) {
		t.ExpiresAt = end
	}
	if t.Scope.TrustID != "" {
		if err := s.Trusts.Consume(ctx, t.Scope.TrustID); err != nil {
			return identity.Issued{}, err
		}
	}
	secret, t, err := s.Tokens.Issue(t, chain)
	if err != nil {
		return identity.Issued{}, err
	}
	if first {
		if err := s.Log.LoggedIn(ctx, t); err != nil {
			return identity.Issued{}, err
		}
	}
	return identity.Issued{Secret: secret, Token: t, Access: access}, nil
}

// enough checks a user's rules for several factors: one of them must be met.
func enough(o identity.UserOptions, methods []string) bool {
	if o.MultiFactorAuthEnabled == nil || !*o.MultiFactorAuthEnabled || len(o.MultiFactorAuthRules) == 0 {
		return true
	}
	if slices.Contains(methods, identity.MethodToken) { // the parent has passed
		return true
	}
	return slices.ContainsFunc(o.MultiFactorAuthRules, func(rule []string) bool {
		return !slices.ContainsFunc(rule, func(m string) bool { return !slices.Contains(methods, m) })
	})
}

// establish runs the methods; all must be for one user.
func (s *Service) establish(ctx context.Context, req request) (who, error) {
	var w who
	for _, m := range req.methods {
		var u *identity.User
		var err error
		switch m {
		case identity.MethodPassword:
			u, err = s.byPassword(ctx, req.password)
		case identity.MethodToken:
			u, err = s.byToken(ctx, req, &w)
		case identity.MethodMapped, identity.MethodSAML2, identity.MethodOpenID:
			u, err = s.byFederatedToken(ctx, req, &w)
		case identity.MethodAppCredential:
			u, err = s.byAppCredential(ctx, req, &w)
		case identity.MethodTOTP:
			u, err = s.byCode(ctx, req.totp)
		case identity.MethodOAuth1:
			u, err = s.byOAuth(ctx, req, &w)
		}
		if err != nil {
			return w, err
		}
		if w.user != nil && w.user.ID != u.ID {
			return w, refused(errTwoUsers)
		}
		w.user = u
		w.methods = append(w.methods, m)
	}
	before, err := s.before(req, w)
	if err != nil {
		return w, err
	}
	for _, m := range before {
		if !slices.Contains(w.methods, m) {
			w.methods = append(w.methods, m)
		}
	}
	return w, nil
}

// before lists the methods that held earlier, for the parent of this login or
// for its receipt.
func (s *Service) before(req request, w who) ([]string, error) {
	if w.parent != nil {
		return w.parent.Methods, nil
	}
	if req.receipt == "" {
		return nil, nil
	}
	r, err := s.Receipts.ReadReceipt(req.receipt)
	if err == nil && r.UserID != w.user.ID {
		err = refused(errTwoUsers)
	}
	return r.Methods, err
}

func (s *Service) byPassword(ctx context.Context, d *passwordData) (*identity.User, error) {
	u, err := s.find(ctx, d.User.named)
	if err != nil {
		return nil, err
	}
	return u, s.Users.Verify(ctx, u, *d.User.Password)
}

// find gives nil for a user that does not exist.
func (s *Service) find(ctx context.Context, n named) (*identity.User, error) {
	u, err := s.Users.Get(ctx, n.ID)
	if n.ID == "" {
		var d *identity.Project
		if d, err = s.domain(ctx, n.Domain); err == nil {
			u, err = s.Users.ByName(ctx, d.ID, n.Name)
		}
	}
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return u, err
}

func (s *Service) domain(ctx context.Context, n *named) (*identity.Project, error) {
	if n.empty() {
		return nil, fault.NotFoundf("Could not find domain.")
	}
	if n.ID == "" {
		return s.Projects.ByName(ctx, "", n.Name)
	}
	d, err := s.Projects.Get(ctx, n.ID)
	if err == nil && !d.IsDomain {
		return nil, fault.NotFoundf("Could not find domain: %s.", n.ID)
	}
	return d, err
}

func (s *Service) byToken(ctx context.Context, req request, w *who) (*identity.User, error) {
	t, err := s.parent(ctx, req.token.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case t.AppCredentialID != "" && req.scope.asked:
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: Using an application credential token to create a scoped token is not allowed.")
	case t.OAuthID != "":
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead.")
	case t.Scope.TrustID != "":
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: Using trust-scoped token to create another token. Create a new trust-scoped token instead.")
	case t.Scope.System && (req.scope.project != nil || req.scope.domain != nil):
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed.")
	}
	u, err := s.Users.Get(ctx, t.UserID)
	if fault.Is(err, fault.NotFound) {
		return nil, refused(errNoUser)
	}
	w.parent = &t
	return u, err
}

// byFederatedToken is byToken by the names of the methods that federated logins
// have: older clients take a token of one to a scope so.
func (s *Service) byFederatedToken(ctx context.Context, req request, w *who) (*identity.User, error) {
	u, err := s.byToken(ctx, req, w)
	if err == nil && w.parent.Federation == nil {
		err = refused(errNotFederated)
	}
	return u, err
}

// parent opens the token that a login is made with. A dead one is not found,
// as upstream answers here.
func (s *Service) parent(ctx context.Context, secret string) (identity.Token, error) {
	t, err := s.Tokens.Read(secret, 0)
	var a *identity.Access
	if err == nil {
		a, err = s.Access.Resolve(ctx, t)
	}
	if err == nil {
		err = s.Tokens.Alive(t, a)
	}
	if fault.Is(err, fault.Unauthenticated) {
		err = fault.NotFoundf("Failed to validate token").Because(err)
	}
	return t, err
}

func (s *Service) byAppCredential(ctx context.Context, req request, w *who) (*identity.User, error) {
	if req.scope.asked {
		return nil, fault.New(fault.Unauthenticated, "Error authenticating with application credential: Application credentials cannot request a scope.").Because(errAppScope)
	}
	d := req.appCred
	var c *identity.AppCredential
	var err error
	if d.ID != "" {
		c, err = s.AppCredentials.Get(ctx, d.ID)
	} else {
		var u *identity.User
		if u, err = s.find(ctx, *d.User); err == nil && u != nil {
			c, err = s.AppCredentials.ByName(ctx, u.ID, d.Name)
		}
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err := s.AppCredentials.Verify(ctx, c, *d.Secret); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, refused(errNoAppCred)
	}
	w.appCred = c
	u, err := s.Users.Get(ctx, c.UserID)
	if fault.Is(err, fault.NotFound) {
		return nil, refused(errNoUser)
	}
	return u, err
}
