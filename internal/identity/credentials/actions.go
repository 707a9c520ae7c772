package credentials

import (
	"encoding/json"
	"net/http"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// keyView is an EC2 key in the words of the older API.
func keyView(c *rest.Call, cr *identity.Credential) (map[string]any, error) {
	var k key
	if err := json.Unmarshal([]byte(cr.Blob), &k); err != nil {
		return nil, fault.Internalf("blob of credential %s: %w", cr.ID, err)
	}
	return map[string]any{"user_id": cr.UserID, "tenant_id": wire.OrNull(cr.ProjectID), "access": k.Access, "secret": k.Secret, "trust_id": k.TrustID,
		"links": wire.Self(c, "/users/"+cr.UserID+"/credentials/OS-EC2/"+k.Access)}, nil
}

func (a *api) keys(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(policy.Target{"user_id": c.Var("user")}); err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.o.User(c.Context(), c.Var("user")); err != nil {
		return rest.Reply{}, err
	}
	list, err := a.s.List(c.Context(), listing.Query{}.And("user_id", listing.Eq, c.Var("user")).And("type", listing.Eq, typeEC2))
	if err != nil {
		return rest.Reply{}, err
	}
	views := []map[string]any{}
	for _, cr := range list {
		if inReach(c, cr.ProjectID) != nil {
			continue
		}
		v, err := keyView(c, cr)
		if err != nil {
			return rest.Reply{}, err
		}
		views = append(views, v)
	}
	return rest.OK(wire.Collection(c, "credentials", views))
}

func (a *api) createKey(c *rest.Call) (rest.Reply, error) {
	user := c.Var("user")
	if err := c.Authorize(policy.Target{"target.credential.user_id": user}); err != nil {
		return rest.Reply{}, err
	}
	if err := mayMake(c); err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.o.User(c.Context(), user); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Project string `json:"tenant_id" v:"required,max=64"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.o.Project(c.Context(), in.Project); err != nil {
		return rest.Reply{}, err
	}
	if err := inReach(c, in.Project); err != nil {
		return rest.Reply{}, err
	}
	trust, _ := c.Auth.Extra["trust_id"].(string)                    // empty without one
	program, _ := c.Auth.Extra["application_credential_id"].(string) // likewise
	cr, err := a.s.CreateKey(c.Context(), user, in.Project, trust, program)
	if err != nil {
		return rest.Reply{}, err
	}
	v, err := keyView(c, cr)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"credential": v})
}

// createOldKey answers 200, as version 2.0 does.
func (a *api) createOldKey(c *rest.Call) (rest.Reply, error) {
	reply, err := a.createKey(c)
	reply.Status = http.StatusOK
	return reply, err
}

func (a *api) findKey(c *rest.Call) (*identity.Credential, error) {
	cr, missing := a.s.Key(c.Context(), c.Var("user"), c.Var("access"))
	owner := policy.Target{}
	if missing == nil {
		owner = target(cr)
	}
	refused := c.Authorize(owner)
	if missing != nil { // an access key is a secret: who knows one may learn that it is gone
		return nil, missing
	}
	if refused != nil {
		return nil, refused
	}
	return cr, inReach(c, cr.ProjectID)
}

func (a *api) key(c *rest.Call) (rest.Reply, error) {
	cr, err := a.findKey(c)
	if err != nil {
		return rest.Reply{}, err
	}
	v, err := keyView(c, cr)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"credential": v})
}

func (a *api) deleteKey(c *rest.Call) (rest.Reply, error) {
	cr, err := a.findKey(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), cr.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
