package legacy

import (
	"encoding/json"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) tokenRoutes() []rest.Route {
	const one = "/v2.0/tokens/{token}"
	return []rest.Route{
		{Method: "GET", Path: "/v2.0", Open: true, Handle: showVersion},
		{Method: "GET", Path: "/v2.0/extensions", Open: true, Handle: listExtensions},
		{Method: "GET", Path: "/v2.0/extensions/{alias}", Open: true, Handle: showExtension},
		{Method: "GET", Path: "/v2.0/certificates/ca", Open: true, Handle: gone},
		{Method: "GET", Path: "/v2.0/certificates/signing", Open: true, Handle: gone},
		{Method: "GET", Path: "/v2.0/tokens/revoked", Rule: admin, Handle: gone},
		{Method: "POST", Path: "/v2.0/tokens", Open: true, Audit: "authenticate", MaxBody: 16 << 10, Handle: a.login},
		{Method: "GET", Path: one, Rule: "identity:validate_token", Object: true, Extension: true, Handle: a.showToken},
		{Method: "DELETE", Path: one, Rule: "identity:revoke_token", Object: true, Audit: "revoke", Extension: true, Handle: a.endToken},
		{Method: "GET", Path: one + "/endpoints", Rule: "identity:validate_token", Object: true, Extension: true, Handle: a.endpointsOfToken},
	}
}

// login turns the body into one of version 3.
func (a *api) login(c *rest.Call) (rest.Reply, error) {
	payload, err := translate(c.Payload())
	if err != nil {
		return rest.Reply{}, err
	}
	issued, err := a.Login(c, payload)
	if fault.Is(err, fault.NotFound) { // a dead token, as the method of this login
		err = fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(err)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return a.access(c, issued)
}

type object = map[string]any

// translate reads a login of version 2.0 and writes it in the words of version 3.
func translate(body []byte) ([]byte, error) {
	var in struct {
		Auth *struct {
			Password *struct {
				Name     string  `json:"username"`
				ID       string  `json:"userId"`
				Password *string `json:"password"`
			} `json:"passwordCredentials"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			TenantName string `json:"tenantName"`
			TenantID   string `json:"tenantId"`
			Trust      string `json:"trust_id"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Auth == nil {
		return nil, fault.Invalidf("Expecting to find auth in request body. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	domain, who := object{"id": identity.DefaultDomainID}, object{}
	switch p, t := in.Auth.Password, in.Auth.Token; {
	case p != nil && (p.Name == "") != (p.ID == "") && p.Password != nil:
		user := object{"password": *p.Password}
		if p.ID != "" {
			user["id"] = p.ID
		} else {
			user["name"], user["domain"] = p.Name, domain
		}
		who = object{"methods": []string{"password"}, "password": object{"user": user}}
	case p == nil && t != nil && t.ID != "":
		who = object{"methods": []string{"token"}, "token": object{"id": t.ID}}
	default:
		return nil, fault.Invalidf("Expecting to find passwordCredentials or token in auth. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	auth := object{"identity": who}
	switch {
	case in.Auth.TenantID != "" && in.Auth.TenantName != "":
		return nil, fault.Invalidf("Tenant name and id are given both")
	case in.Auth.Trust != "":
		auth["scope"] = object{"OS-TRUST:trust": object{"id": in.Auth.Trust}}
	case in.Auth.TenantID != "":
		auth["scope"] = object{"project": object{"id": in.Auth.TenantID}}
	case in.Auth.TenantName != "":
		auth["scope"] = object{"project": object{"name": in.Auth.TenantName, "domain": domain}}
	}
	out, err := json.Marshal(object{"auth": auth})
	if err != nil {
		return nil, fault.Internalf("encode login: %w", err)
	}
	return out, nil
}

// sees refuses tokens that this version has no words for.
func sees(x *identity.Access) error {
	if !ofDefault(x.UserDomain.ID) || x.System || x.Domain.ID != "" || x.Project.ID != "" && !ofDefault(x.ProjectDomain.ID) {
		return fault.New(fault.Unauthenticated, "Non-default domain is not supported")
	}
	return nil
}

// access is a token with its catalog in the older form.
func (a *api) access(c *rest.Call, i Issued) (rest.Reply, error) {
	if err := sees(i.Access); err != nil {
		return rest.Reply{}, err
	}
	x := i.Access
	const form = "2006-01-02T15:04:05Z"
	token := object{"id": i.Secret, "expires": i.Token.ExpiresAt.UTC().Format(form), "issued_at": i.Token.IssuedAt.UTC().Truncate(time.Second).Format(form),
		"audit_ids": i.Token.AuditIDs}
	catalog := []object{}
	if x.Project.ID != "" {
		p, err := a.Projects.Get(c.Context(), x.Project.ID)
		if err != nil {
			return rest.Reply{}, err
		}
		token["tenant"] = tenantView(p)
		if catalog, err = a.services(c, x); err != nil {
			return rest.Reply{}, err
		}
	}
	roles := []object{}
	for _, r := range x.Roles {
		roles = append(roles, object{"name": r.Name})
	}
	user := object{"id": x.User.ID, "name": x.User.Name, "username": x.User.Name, "roles": roles, "roles_links": []any{}}
	out := object{"token": token, "user": user, "serviceCatalog": catalog, "metadata": object{"is_admin": 0, "roles": x.RoleIDs()}}
	if x.Trust != nil {
		out["trust"] = object{"id": x.Trust.ID, "impersonation": x.Trust.Impersonation, "trustor_user_id": x.Trust.TrustorID, "trustee_user_id": x.Trust.TrusteeID}
	}
	return rest.OK(object{"access": out})
}

// subject opens the token of the path and asks the rule; a dead one is not found.
func (a *api) subject(c *rest.Call) (Issued, error) {
	i, err := a.Inspect(c.Context(), c.Var("token"))
	target := policy.Target{}
	if err == nil {
		target["target.token.user_id"] = i.Access.User.ID
		err = sees(i.Access)
	}
	if fault.Is(err, fault.Unauthenticated) {
		err = fault.NotFoundf("Failed to validate token").Because(err)
	}
	if refused := c.Authorize(target); refused != nil && err == nil {
		err = refused
	}
	return i, err
}

func (a *api) showToken(c *rest.Call) (rest.Reply, error) {
	i, err := a.subject(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if tenant := c.Values().Get("belongsTo"); tenant != "" && tenant != i.Access.Project.ID {
		return rest.Reply{}, fault.New(fault.Unauthenticated, "Token does not belong to specified tenant.")
	}
	return a.access(c, i)
}

func (a *api) endToken(c *rest.Call) (rest.Reply, error) {
	i, err := a.subject(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return wire.Done(a.Revoke(c.Context(), i.Token))
}
