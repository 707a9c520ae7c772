package auth

import (
	"time"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// in is a named thing with its domain.
func in(n, domain identity.Named) map[string]any {
	return map[string]any{"id": n.ID, "name": n.Name, "domain": domain}
}

// federation is what an identity provider said, as tokens show it.
func federation(f *identity.Federation) map[string]any {
	groups := make([]map[string]any, len(f.Groups))
	for i, id := range f.Groups {
		groups[i] = map[string]any{"id": id}
	}
	return map[string]any{"identity_provider": map[string]any{"id": f.ProviderID}, "protocol": map[string]any{"id": f.ProtocolID}, "groups": groups}
}

// view is a token as the API shows it.
func (a *API) view(c *rest.Call, t identity.Token, x *identity.Access, withCatalog bool) (map[string]any, error) {
	user := in(x.User, x.UserDomain)
	user["password_expires_at"] = nil
	if !x.PasswordExpiresAt.IsZero() {
		user["password_expires_at"] = x.PasswordExpiresAt.Format("2006-01-02T15:04:05.000000")
	}
	if f := t.Federation; f != nil {
		user["OS-FEDERATION"] = federation(f)
		delete(user, "password_expires_at")
	}
	out := map[string]any{"methods": t.Methods, "user": user, "audit_ids": t.AuditIDs, "expires_at": wire.Time(t.ExpiresAt),
		"issued_at": wire.Time(t.IssuedAt.Truncate(time.Second))}
	if !t.Scope.Unscoped() {
		out["roles"] = x.Roles
	}
	switch {
	case x.System:
		out["system"] = map[string]any{"all": true}
	case x.Domain.ID != "":
		out["domain"] = x.Domain
	case x.Project.ID != "":
		out["project"] = in(x.Project, x.ProjectDomain)
		if x.Trust == nil {
			out["is_domain"] = x.IsDomain
		}
	}
	if tr := x.Trust; tr != nil {
		out["OS-TRUST:trust"] = map[string]any{"id": tr.ID, "impersonation": tr.Impersonation,
			"trustor_user": map[string]any{"id": tr.TrustorID}, "trustee_user": map[string]any{"id": tr.TrusteeID}}
	}
	if o := x.OAuth; o != nil {
		out["OS-OAUTH1"] = map[string]any{"access_token_id": o.ID, "consumer_id": o.ConsumerID}
	}
	if ac := x.AppCredential; ac != nil {
		v := map[string]any{"id": ac.ID, "name": ac.Name, "restricted": !ac.Unrestricted}
		if len(ac.Rules) > 0 {
			v["access_rules"] = ac.Rules
		}
		out["application_credential"] = v
	}
	if withCatalog && !t.Scope.Unscoped() {
		list, err := a.Catalog.View(c, x.Project.ID, x.User.ID)
		if err != nil {
			return nil, err
		}
		out["catalog"] = list
	}
	clouds, err := a.Clouds.Enabled(c.Context())
	if err != nil {
		return nil, err
	}
	if len(clouds) > 0 {
		list := make([]map[string]any, len(clouds))
		for i, p := range clouds {
			list[i] = map[string]any{"id": p.ID, "auth_url": p.AuthURL, "sp_url": p.SPURL}
		}
		out["service_providers"] = list
	}
	return map[string]any{"token": out}, nil
}
