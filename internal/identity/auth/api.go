package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for tokens.
func Rules() []policy.Rule {
	const subject = "user_id:%(target.token.user_id)s"
	return []policy.Rule{
		{Name: "owner", Check: "user_id:%(user_id)s", Description: "The user that an object is of."},
		{Name: "token_subject", Check: subject, Description: "The user that a token is of."},
		{Name: "admin_or_owner", Check: "rule:admin_required or rule:owner", Description: "Administrators, and the user that an object is of."},
		{Name: "admin_or_token_subject", Check: "rule:admin_required or rule:token_subject", Description: "Administrators, and the user that a token is of."},
		{Name: "service_admin_or_token_subject", Check: "rule:service_or_admin or rule:token_subject", Description: "Services, administrators, and the user that a token is of."},
		wire.Rule("check_token", wire.AdminOrSystemReader+" or "+subject, wire.AllScopes, "Check a token."),
		wire.Rule("validate_token", wire.AdminOrSystemReader+" or rule:service_role or "+subject, wire.AllScopes, "Show a token."),
		wire.Rule("revoke_token", "rule:admin_required or "+subject, wire.AllScopes, "End a token."),
		wire.Rule("list_revoke_events", "rule:service_or_admin", wire.SystemProject, "List what ended tokens."),
		wire.Rule("get_auth_catalog", "", nil, "Show the catalog of the caller's token."),
		wire.Rule("get_auth_projects", "", nil, "List the projects the caller may scope to."),
		wire.Rule("get_auth_domains", "", nil, "List the domains the caller may scope to."),
		wire.Rule("get_auth_system", "", nil, "Tell whether the caller may scope to the system."),
	}
}

// Catalog shows the catalog of a project and user.
type Catalog interface {
	View(c *rest.Call, project, user string) ([]map[string]any, error)
}

// Reach shows what a user may scope a token to.
type Reach interface {
	ProjectViews(c *rest.Call, user string) ([]map[string]any, error)
	DomainViews(c *rest.Call, user string) ([]map[string]any, error)
	HasSystem(c *rest.Call, user string) (bool, error)
}

// Clouds lists those that this one vouches to, which tokens show.
type Clouds interface {
	Enabled(ctx context.Context) ([]identity.ServiceProvider, error)
}

// Shown is what answers show besides tokens.
type Shown struct {
	Catalog Catalog
	Reach   Reach
	Clouds  Clouds
}

// API answers for /v3/auth.
type API struct {
	Shown
	s     *Service
	shown *otter.Cache[asked, shown]
}

// asked is what the answer about a token depends on, but for identity's rows.
type asked struct {
	token, root    string
	withoutCatalog bool
}

// shown is an answer about a token that stands as long as what it is worth was
// not computed anew, which any change of identity's rows, the catalog's too,
// brings about.
type shown struct {
	access *identity.Access
	body   []byte
}

// keptAnswers bounds how many answers are kept: some 6 KiB each.
const keptAnswers = 1000

// New makes the API.
func New(s *Service, besides Shown) *API {
	return &API{Shown: besides, s: s, shown: otter.Must(&otter.Options[asked, shown]{MaximumSize: keptAnswers})}
}

const (
	subjectHeader = "X-Subject-Token"
	receiptHeader = "Openstack-Auth-Receipt"
	maxLogin      = 16 << 10
	// rulesHeader says that who validates a token enforces access rules.
	rulesHeader = "OpenStack-Identity-Access-Rules"
	// grace is how long after its end services may still look a token up, for
	// work that outlives it (upstream's allow_expired_window).
	grace = 48 * time.Hour
)

// Routes are the operations on tokens.
func (a *API) Routes() []rest.Route {
	const tokens = "/v3/auth/tokens"
	return []rest.Route{
		{Method: "POST", Path: tokens, Open: true, Audit: "authenticate", MaxBody: maxLogin, Handle: a.login,
			Variants: []string{"identity.password", "identity.token", "identity.application_credential", "identity.totp", "identity.oauth1", "identity.mapped", "scope.OS-TRUST:trust"}},
		{Method: "POST", Path: "/v3/OS-OAUTH2/token", Open: true, Raw: true, Audit: "authenticate", MaxBody: maxLogin, Handle: a.oauth2},
		{Method: "GET", Path: tokens, Rule: "identity:validate_token", Object: true, Handle: a.validate},
		{Method: "HEAD", Path: tokens, Rule: "identity:check_token", Object: true, Handle: a.validate},
		{Method: "DELETE", Path: tokens, Rule: "identity:revoke_token", Object: true, Audit: "revoke", Handle: a.revoke},
		{Method: "GET", Path: "/v3/auth/catalog", Rule: "identity:get_auth_catalog", Handle: a.showCatalog},
		{Method: "GET", Path: "/v3/auth/projects", Rule: "identity:get_auth_projects", Handle: a.projects},
		{Method: "GET", Path: "/v3/auth/domains", Rule: "identity:get_auth_domains", Handle: a.domains},
		{Method: "GET", Path: "/v3/auth/system", Rule: "identity:get_auth_system", Handle: a.system},
		{Method: "GET", Path: "/v3/OS-REVOKE/events", Rule: "identity:list_revoke_events", Handle: a.events},
		{Method: "GET", Path: "/v3/OS-FEDERATION/projects", Rule: "identity:get_auth_projects", Handle: a.projects},
		{Method: "GET", Path: "/v3/OS-FEDERATION/domains", Rule: "identity:get_auth_domains", Handle: a.domains},
	}
}

func (a *API) login(c *rest.Call) (rest.Reply, error) {
	return a.Reply(c, http.StatusCreated, func() (identity.Issued, error) {
		return a.s.Login(c.Context(), Attempt{Payload: c.Payload(), Remote: c.RemoteAddr, Receipt: c.Header.Get(receiptHeader), Signed: wire.Signed(c)})
	})
}

// Reply answers a login: the token with a status, or what the login needs besides.
func (a *API) Reply(c *rest.Call, status int, login func() (identity.Issued, error)) (rest.Reply, error) {
	issued, err := login()
	if more := (*NeedsMore)(nil); errors.As(err, &more) {
		return receipt(more)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return a.answer(c, status, issued.Secret, issued.Token, issued.Access)
}

// Issue makes a token for what another feature has verified, and answers 200.
func (a *API) Issue(c *rest.Call, t identity.Token) (rest.Reply, error) {
	return a.Reply(c, http.StatusOK, func() (identity.Issued, error) { return a.s.Issue(c.Context(), t) })
}

func (a *API) answer(c *rest.Call, status int, secret string, t identity.Token, x *identity.Access) (rest.Reply, error) {
	_, without := c.Values()["nocatalog"]
	body, err := a.view(c, t, x, !without)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{Status: status, Body: body}.With(subjectHeader, secret), nil
}

// subject opens the token that the request is about and asks the rule. A dead
// token and a missing one are equally not found.
func (a *API) subject(c *rest.Call, grace time.Duration) (identity.Token, *identity.Access, error) {
	t, err := a.s.Tokens.Read(c.Header.Get(subjectHeader), grace)
	var x *identity.Access
	if err == nil {
		x, err = a.s.Access.Resolve(c.Context(), t)
	}
	if err == nil {
		err = a.s.Tokens.Alive(t, x)
	}
	target := policy.Target{}
	if err == nil {
		target["target.token.user_id"] = x.User.ID
	}
	if fault.Is(err, fault.Unauthenticated) {
		err = fault.NotFoundf("Failed to validate token").Because(err)
	}
	if refused := c.Authorize(target); refused != nil && err == nil {
		err = refused
	}
	return t, x, err
}

func (a *API) validate(c *rest.Call) (rest.Reply, error) {
	window := time.Duration(0)
	if v, ok := c.Values()["allow_expired"]; ok && wire.Truth(v[0]) {
		window = grace
	}
	t, x, err := a.subject(c, window)
	if err != nil {
		return rest.Reply{}, err
	}
	if ac := x.AppCredential; ac != nil && len(ac.Rules) > 0 && c.Header.Get(rulesHeader) == "" {
		// Who asks cannot enforce the rules, so the token is worth nothing to it.
		return rest.Reply{}, fault.NotFoundf("Failed to validate token")
	}
	return a.again(c, t, x)
}

// again answers what a token is, as services ask about the same ones all the time.
func (a *API) again(c *rest.Call, t identity.Token, x *identity.Access) (rest.Reply, error) {
	_, without := c.Values()["nocatalog"]
	secret := c.Header.Get(subjectHeader)
	key := asked{secret, c.Root(), without}
	if old, ok := a.shown.GetIfPresent(key); ok && old.access == x {
		return rest.Reply{Status: http.StatusOK, Body: old.body}.With(subjectHeader, secret), nil
	}
	reply, err := a.answer(c, http.StatusOK, secret, t, x)
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := rest.JSON(reply.Body)
	if err != nil {
		return rest.Reply{}, err
	}
	a.shown.Set(key, shown{x, body})
	reply.Body = body
	return reply, nil
}

func (a *API) revoke(c *rest.Call) (rest.Reply, error) {
	t, _, err := a.subject(c, 0)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Tokens.Revoke(c.Context(), t); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// events shows epochs in the words of upstream's revocation events.
func (a *API) events(c *rest.Call) (rest.Reply, error) {
	list, err := a.s.Tokens.Revocations(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	since := time.Time{}
	if text := c.Values().Get("since"); text != "" {
		us, err := rest.ParseTime("since", text)
		if err != nil {
			return rest.Reply{}, err
		}
		since = time.UnixMicro(us)
	}
	words := map[identity.Subject]string{identity.SubjectToken: "audit_id", identity.SubjectChain: "audit_chain_id", identity.SubjectUser: "user_id",
		identity.SubjectProject: "project_id", identity.SubjectDomain: "domain_id", identity.SubjectTrust: "OS-TRUST:trust_id"}
	events := []map[string]any{}
	for _, r := range list {
		if word, ok := words[r.Subject]; ok && !r.Before.Before(since) {
			events = append(events, map[string]any{word: r.Key, "issued_before": wire.Time(r.Before)})
		}
	}
	return rest.OK(wire.Collection(c, "events", events))
}

func (a *API) showCatalog(c *rest.Call) (rest.Reply, error) {
	if c.Auth.ProjectID == "" {
		return rest.Reply{}, fault.Forbiddenf("A project-scoped token is required to produce a service catalog.")
	}
	list, err := a.Catalog.View(c, c.Auth.ProjectID, c.Auth.UserID)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"catalog": list, "links": wire.Self(c, "/auth/catalog")})
}

func (a *API) projects(c *rest.Call) (rest.Reply, error) {
	list, err := a.Reach.ProjectViews(c, c.Auth.UserID)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(wire.Collection(c, "projects", list))
}

func (a *API) domains(c *rest.Call) (rest.Reply, error) {
	list, err := a.Reach.DomainViews(c, c.Auth.UserID)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(wire.Collection(c, "domains", list))
}

func (a *API) system(c *rest.Call) (rest.Reply, error) {
	has, err := a.Reach.HasSystem(c, c.Auth.UserID)
	if err != nil {
		return rest.Reply{}, err
	}
	list := []any{}
	if has {
		list = append(list, map[string]any{"all": true})
	}
	return rest.OK(map[string]any{"system": list, "links": wire.Self(c, "/auth/system")})
}
