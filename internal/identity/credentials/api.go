package credentials

import (
	"context"
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for credentials.
func Rules() []policy.Rule {
	const owner = "user_id:%(target.credential.user_id)s"
	const read, write = "(rule:admin_required) or " + wire.SystemReader + " or " + owner, "(rule:admin_required) or " + owner
	const member = "(rule:admin_required) or (role:member and " + owner + ")"
	return []policy.Rule{
		wire.Rule("get_credential", read, wire.AllScopes, "Show a credential."),
		wire.Rule("list_credentials", read, wire.AllScopes, "List credentials."),
		wire.Rule("create_credential", write, wire.AllScopes, "Create a credential."),
		wire.Rule("update_credential", write, wire.AllScopes, "Update a credential."),
		wire.Rule("delete_credential", write, wire.AllScopes, "Delete a credential."),
		wire.Rule("ec2_get_credential", read, wire.SystemProject, "Show an EC2 key."),
		wire.Rule("ec2_list_credentials", "(rule:admin_required) or "+wire.SystemReader+" or user_id:%(user_id)s", wire.SystemProject, "List a user's EC2 keys."),
		wire.Rule("ec2_create_credential", member, wire.SystemProject, "Create an EC2 key."),
		wire.Rule("ec2_delete_credential", member, wire.SystemProject, "Delete an EC2 key."),
		wire.Rule("ec2tokens_validate", "rule:service_or_admin", wire.AllScopes, "Turn an EC2 signature into a token."),
		wire.Rule("s3tokens_validate", "rule:service_or_admin", wire.AllScopes, "Turn an S3 signature into a token."),
	}
}

// Others finds what credentials refer to.
type Others struct {
	User    func(ctx context.Context, id string) (*identity.User, error)
	Project func(ctx context.Context, id string) (*identity.Project, error)
	// Trust loads a trust; NotFound.
	Trust func(ctx context.Context, id string) (*identity.Trust, error)
	// Issue makes a token and answers with it. Unauthenticated when it is worth nothing.
	Issue func(c *rest.Call, t identity.Token) (rest.Reply, error)
}

type api struct {
	s *Service
	o Others
}

// Routes are the operations on credentials.
func (s *Service) Routes(o Others) []rest.Route {
	a := &api{s, o}
	const one, keys, old = "/v3/credentials/{id}", "/v3/users/{user}/credentials/OS-EC2", "/v2.0/users/{user}/credentials/OS-EC2"
	return []rest.Route{
		{Method: "GET", Path: "/v3/credentials", Rule: "identity:list_credentials", Object: true, Handle: a.list},
		{Method: "POST", Path: "/v3/credentials", Rule: "identity:create_credential", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_credential", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_credential", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_credential", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: keys, Rule: "identity:ec2_list_credentials", Object: true, Handle: a.keys},
		{Method: "POST", Path: keys, Rule: "identity:ec2_create_credential", Object: true, Audit: "create", Handle: a.createKey},
		{Method: "GET", Path: keys + "/{access}", Rule: "identity:ec2_get_credential", Object: true, Handle: a.key},
		{Method: "POST", Path: "/v3/ec2tokens", Rule: "identity:ec2tokens_validate", Audit: "authenticate", MaxBody: 64 << 10, Handle: a.ec2Token},
		{Method: "POST", Path: "/v3/s3tokens", Rule: "identity:s3tokens_validate", Audit: "authenticate", MaxBody: 64 << 10, Handle: a.s3Token},
		{Method: "DELETE", Path: keys + "/{access}", Rule: "identity:ec2_delete_credential", Object: true, Audit: "delete", Handle: a.deleteKey},
		{Method: "GET", Path: old, Rule: "identity:ec2_list_credentials", Object: true, Handle: a.keys},
		{Method: "POST", Path: old, Rule: "identity:ec2_create_credential", Object: true, Audit: "create", Handle: a.createOldKey},
		{Method: "GET", Path: old + "/{access}", Rule: "identity:ec2_get_credential", Object: true, Handle: a.key},
		{Method: "DELETE", Path: old + "/{access}", Rule: "identity:ec2_delete_credential", Object: true, Audit: "delete", Handle: a.deleteKey},
	}
}

func view(c *rest.Call, cr *identity.Credential) map[string]any {
	return map[string]any{"id": cr.ID, "user_id": cr.UserID, "project_id": wire.OrNull(cr.ProjectID), "type": cr.Type, "blob": cr.Blob,
		"links": wire.Self(c, "/credentials/"+cr.ID)}
}

func target(cr *identity.Credential) policy.Target {
	return policy.Target{"target.credential.user_id": cr.UserID}
}

// inReach refuses a derived token another project's credentials, and those
// that are of no project.
func inReach(c *rest.Call, project string) error {
	derived := wire.Delegated(c) || c.Auth.Extra["application_credential_id"] != nil
	if derived && project != c.Auth.ProjectID {
		return wire.Refuse("The credential's project does not match the project scope of the delegated token")
	}
	return nil
}

// mayMake refuses tokens of restricted application credentials, and those that
// OAuth lent: a key made with one would not be bounded by it.
func mayMake(c *rest.Call) error {
	if c.Auth.Extra["oauth_access_token_id"] != nil {
		return wire.Refuse("Using method 'oauth1' is not allowed for managing credentials.")
	}
	if c.Auth.Extra["application_credential_id"] != nil && c.Auth.Extra["application_credential_unrestricted"] != true {
		return wire.Refuse("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return nil
}

func (a *api) find(c *rest.Call) (*identity.Credential, error) {
	cr, err := wire.Find(c, func() (*identity.Credential, error) { return a.s.Get(c.Context(), c.Var("id")) }, target)
	if err != nil {
		return nil, err
	}
	return cr, inReach(c, cr.ProjectID)
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	own := policy.Target{"target.credential.user_id": c.Auth.UserID}
	if err := c.Authorize(own); err != nil {
		return rest.Reply{}, err
	}
	l := wire.List[identity.Credential]{Many: "credentials", Filters: []rest.Filter{wire.Text("user_id", "user_id")[0], wire.Text("type", "type")[0]},
		View: view, ID: func(cr *identity.Credential) string { return cr.ID }}
	l.Load = func(ctx context.Context, q listing.Query) ([]*identity.Credential, error) {
		all, err := a.s.List(ctx, q)
		seen := all[:0]
		for _, cr := range all {
			if c.Allow(c.Rule(), target(cr)) && inReach(c, cr.ProjectID) == nil {
				seen = append(seen, cr)
			}
		}
		return seen, err
	}
	return l.Reply(c)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	cr, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"credential": view(c, cr)})
}

type input struct {
	Blob      rest.Opt[string] `json:"blob"`
	Type      string           `json:"type" v:"min=1,max=255"`
	UserID    string           `json:"user_id" v:"max=64"`
	ProjectID rest.Opt[string] `json:"project_id" v:"max=64"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	if _, err := wire.Body(c, "credential", &in); err != nil {
		return rest.Reply{}, err
	}
	if err := c.Authorize(policy.Target{"target.credential.user_id": in.UserID}); err != nil {
		return rest.Reply{}, err
	}
	if !in.Blob.Set || in.Type == "" || in.UserID == "" {
		return rest.Reply{}, fault.Invalidf("'blob', 'type' and 'user_id' are required properties")
	}
	if err := mayMake(c); err != nil {
		return rest.Reply{}, err
	}
	if err := inReach(c, in.ProjectID.V); err != nil {
		return rest.Reply{}, err
	}
	cr := identity.Credential{UserID: in.UserID, ProjectID: in.ProjectID.V, Type: in.Type, Blob: in.Blob.V}
	if cr.Type == typeEC2 {
		blob, err := bound(c, cr.Blob)
		if err != nil {
			return rest.Reply{}, err
		}
		cr.Blob = blob
	}
	made, err := a.s.Create(c.Context(), cr)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"credential": view(c, made)})
}

// bound ties a key to the trust or application credential of the token that
// makes it; nobody else may name one.
func bound(c *rest.Call, blob string) (string, error) {
	var members map[string]any
	if err := json.Unmarshal([]byte(blob), &members); err != nil || members == nil {
		return "", fault.Invalidf("Invalid blob in credential")
	}
	changed := false
	for name, made := range map[string]any{"trust_id": c.Auth.Extra["trust_id"], "app_cred_id": c.Auth.Extra["application_credential_id"]} {
		if given, ok := members[name]; ok && given != nil && given != made {
			return "", fault.Invalidf("%s can not be chosen for credential", name)
		}
		if made != nil {
			members[name], changed = made, true
		}
	}
	if !changed {
		return blob, nil // as it was written
	}
	text, err := json.Marshal(members)
	return string(text), err
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	cr, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in input
	if _, err := wire.Body(c, "credential", &in); err != nil {
		return rest.Reply{}, err
	}
	if in.UserID != "" && in.UserID != cr.UserID { // the new owner must be one the caller may act for
		if !c.Allow(c.Rule(), policy.Target{"target.credential.user_id": in.UserID}) {
			return rest.Reply{}, wire.Refuse(c.Rule())
		}
	}
	if in.ProjectID.Set {
		if err := inReach(c, in.ProjectID.V); err != nil {
			return rest.Reply{}, err
		}
	}
	anyone := c.Allow(c.Rule(), policy.Target{})
	cr, err = a.s.Update(c.Context(), cr.ID, anyone, func(cr *identity.Credential) {
		if in.Blob.Set {
			cr.Blob = in.Blob.V
		}
		if in.Type != "" {
			cr.Type = in.Type
		}
		if in.UserID != "" {
			cr.UserID = in.UserID
		}
		if in.ProjectID.Set {
			cr.ProjectID = in.ProjectID.V
		}
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"credential": view(c, cr)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	cr, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), cr.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
