package tokens

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/policy"
)

// standing is what is remembered of credentials: the payload of their token,
// which is none without the seal, and their roles.
type standing struct {
	Payload string   `json:"payload"`
	Roles   []string `json:"roles"`
}

// Standing implements identity.Standing.
func (a *Authenticator) Standing(c *policy.Credentials) string {
	out, err := json.Marshal(standing{base64.RawURLEncoding.EncodeToString(encodePayload(tokenOf(c))), c.Roles})
	if err != nil { // of strings: it cannot fail
		return ""
	}
	return string(out)
}

// Stands implements identity.Standing. It queries as seldom as Authenticate.
func (a *Authenticator) Stands(ctx context.Context, text string) error {
	var s standing
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return dead(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(s.Payload)
	if err != nil {
		return dead(err)
	}
	t, err := decodePayload(payload)
	if err != nil {
		return dead(err)
	}
	return a.stands(ctx, t, s.Roles)
}

// StandsNow is Stands for credentials at hand.
func (a *Authenticator) StandsNow(ctx context.Context, c *policy.Credentials) error {
	return a.stands(ctx, tokenOf(c), c.Roles)
}

func (a *Authenticator) stands(ctx context.Context, t identity.Token, roles []string) error {
	if a.tokens.epochs.revoked(t) {
		return dead(errRevoked)
	}
	_, access, err := a.worth(ctx, t)
	if err != nil {
		return err
	}
	now := access.RoleNames()
	if slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(now, r) }) {
		return fault.Forbiddenf("A role was taken away.")
	}
	return nil
}

// tokenOf is the token that credentials came from, as far as it decides what
// they are worth.
func tokenOf(c *policy.Credentials) identity.Token {
	text := func(name string) string {
		s, _ := c.Extra[name].(string) // absent: there is none
		return s
	}
	t := identity.Token{UserID: c.UserID, Methods: c.Methods, AuditIDs: c.AuditIDs, IssuedAt: c.Issued, ExpiresAt: c.Expires,
		AppCredentialID: text(ExtraAppCredential), OAuthID: text(ExtraOAuth)}
	t.Federation = identity.FederationOf(c)
	t.Scope.ProjectID, t.Scope.DomainID, t.Scope.TrustID, t.Scope.System = c.ProjectID, c.DomainID, text(ExtraTrust), c.SystemScope != ""
	return t
}
