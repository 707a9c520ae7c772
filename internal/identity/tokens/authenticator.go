package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/policy"
)

// Names under which credentials carry what only identity asks for.
const (
	ExtraTrust         = "trust_id"
	ExtraAppCredential = "application_credential_id"
	ExtraOAuth         = "oauth_access_token_id"
	ExtraUnrestricted  = "application_credential_unrestricted"
)

// Authenticator turns bearer tokens into credentials for package rest. Safe
// for concurrent use.
type Authenticator struct {
	tokens   *Service
	resolver Resolver
}

// NewAuthenticator joins the two halves of a validation.
func NewAuthenticator(t *Service, r Resolver) *Authenticator { return &Authenticator{t, r} }

// Authenticate gives the credentials of a token; Unauthenticated when it is
// dead. It queries only for what no token asked for since the last change of
// identity rows.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (*policy.Credentials, error) {
	if err := a.tokens.Ensure(ctx); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(token))
	t, err := a.tokens.readAs(sum, token, 0)
	if err != nil {
		return nil, err
	}
	t, access, err := a.worth(ctx, t)
	if err != nil {
		return nil, err
	}
	c := Credentials(t, access)
	c.TokenKey = hex.EncodeToString(sum[:16])
	return c, nil
}

// Validate opens a token and tells what it is worth now; Unauthenticated when it
// is dead.
func (a *Authenticator) Validate(ctx context.Context, token string) (identity.Token, *identity.Access, error) {
	if err := a.tokens.Ensure(ctx); err != nil {
		return identity.Token{}, nil, err
	}
	t, err := a.tokens.Read(token, 0)
	if err != nil {
		return t, nil, err
	}
	return a.worth(ctx, t)
}

func (a *Authenticator) worth(ctx context.Context, t identity.Token) (identity.Token, *identity.Access, error) {
	access, err := a.resolver.Resolve(ctx, t)
	if err != nil {
		return t, nil, err
	}
	return t, access, a.tokens.Alive(t, access)
}

// Credentials is what policies and services see of a token.
func Credentials(t identity.Token, a *identity.Access) *policy.Credentials {
	c := &policy.Credentials{
		UserID: a.User.ID, UserName: a.User.Name, UserDomainID: a.UserDomain.ID, UserDomainName: a.UserDomain.Name,
		ProjectID: a.Project.ID, ProjectName: a.Project.Name, ProjectDomainID: a.ProjectDomain.ID, ProjectDomainName: a.ProjectDomain.Name,
		DomainID: a.Domain.ID, DomainName: a.Domain.Name,
		Roles: a.RoleNames(), RoleIDs: a.RoleIDs(), IsAdminProject: true,
		Methods: t.Methods, AuditIDs: t.AuditIDs, Issued: t.IssuedAt, Expires: t.ExpiresAt,
	}
	if a.System {
		c.SystemScope = "all"
	}
	if a.Trust == nil && a.AppCredential == nil && a.OAuth == nil && a.Federation == nil && !a.Shadow {
		return c
	}
	c.Extra = map[string]any{}
	if a.Shadow {
		c.Extra[identity.ExtraShadow] = true
	}
	if a.Federation != nil {
		c.Extra[identity.ExtraFederation] = a.Federation
	}
	if a.Trust != nil {
		c.Extra[ExtraTrust] = a.Trust.ID
		c.Extra["trustor_user_id"], c.Extra["trustee_user_id"] = a.Trust.TrustorID, a.Trust.TrusteeID
	}
	if a.OAuth != nil {
		c.Extra[ExtraOAuth] = a.OAuth.ID
	}
	if a.AppCredential != nil {
		c.Extra[ExtraAppCredential] = a.AppCredential.ID
		c.Extra[ExtraUnrestricted] = a.AppCredential.Unrestricted
		if rules := a.AppCredential.Rules; len(rules) > 0 {
			c.Permits = func(service, method, path string) bool { return identity.Permits(rules, service, method, path) }
		}
	}
	return c
}
