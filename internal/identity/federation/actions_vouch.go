package federation

import (
	"context"
	"net/http"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/saml"
	"github.com/mekcloud/mek/internal/rest"
)

// vouchLife is how long another cloud may take an assertion (upstream's
// assertion_expiration_time).
const vouchLife = time.Hour

// vouchInput is whom an assertion is for: the token of a user, and the cloud that
// he wants to go to.
type vouchInput struct {
	Auth *struct {
		Identity struct {
			Methods []string `json:"methods" v:"required"`
			Token   struct {
				ID string `json:"id" v:"required,min=1"`
			} `json:"token" v:"required"`
		} `json:"identity" v:"required"`
		Scope struct {
			ServiceProvider struct {
				ID string `json:"id" v:"required,min=1,max=64"`
			} `json:"service_provider" v:"required"`
		} `json:"scope" v:"required"`
	} `json:"auth" v:"required"`
}

// assertion vouches for a user to another cloud (Keystone to Keystone).
func (a *API) assertion(c *rest.Call) (rest.Reply, error) {
	response, to, err := a.vouch(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return document(response, to), nil
}

// envelope is assertion in the form that a program sends on as it is (ECP).
func (a *API) envelope(c *rest.Call) (rest.Reply, error) {
	response, to, err := a.vouch(c)
	if err != nil {
		return rest.Reply{}, err
	}
	issuer, err := a.s.issuer(c)
	if err != nil {
		return rest.Reply{}, err
	}
	soap, err := issuer.ECP(response, to.RelayStatePrefix)
	if err != nil {
		return rest.Reply{}, err
	}
	return document(soap, to), nil
}

func document(body []byte, to *identity.ServiceProvider) rest.Reply {
	return rest.Reply{Status: http.StatusOK, Body: body}.With("Content-Type", "text/xml").With("Cache-Control", "no-store").
		With("X-sp-url", to.SPURL).With("X-auth-url", to.AuthURL)
}

func (a *API) vouch(c *rest.Call) ([]byte, *identity.ServiceProvider, error) {
	var in vouchInput
	if err := c.Decode(&in); err != nil {
		return nil, nil, err
	}
	to, err := a.s.ServiceProviders.Get(c.Context(), in.Auth.Scope.ServiceProvider.ID)
	if err != nil {
		return nil, nil, err
	}
	if !to.Enabled {
		return nil, nil, fault.Forbiddenf("Service Provider %s is disabled", to.ID)
	}
	t, access, err := a.s.Inspect(c.Context(), in.Auth.Identity.Token.ID)
	switch {
	case fault.Is(err, fault.Unauthenticated):
		return nil, nil, fault.NotFoundf("Failed to validate token").Because(err)
	case err != nil:
		return nil, nil, err
	case access.Project.ID == "":
		return nil, nil, fault.Forbiddenf("You are not authorized to perform the requested action: Use a project scoped token when attempting to create a SAML assertion.")
	case access.AppCredential != nil || access.Trust != nil || access.OAuth != nil:
		return nil, nil, fault.Forbiddenf("You are not authorized to perform the requested action: Use a token of a login of your own when attempting to create a SAML assertion.")
	case access.Shadow: // another cloud is told names alone
		return nil, nil, fault.Forbiddenf("You are not authorized to perform the requested action: This cloud vouches for its own users, not for those whom an identity provider brought.")
	}
	what, err := a.s.statement(c.Context(), t, access, to)
	if err != nil {
		return nil, nil, err
	}
	issuer, err := a.s.issuer(c)
	if err != nil {
		return nil, nil, err
	}
	response, _, err := issuer.Assertion(what, a.s.Clock.Now())
	return response, to, err
}

// statement is what this cloud says of a user to another one, by names.
func (s *Service) statement(ctx context.Context, t identity.Token, access *identity.Access, to *identity.ServiceProvider) (saml.Statement, error) {
	groups, err := s.Groups.NamesOf(ctx, t.UserID)
	what := saml.Statement{User: access.User.Name, UserDomain: access.UserDomain.Name, Roles: access.RoleNames(),
		Project: access.Project.Name, ProjectDomain: access.ProjectDomain.Name, Recipient: to.SPURL, Lifetime: vouchLife}
	for _, g := range groups {
		what.Groups = append(what.Groups, saml.Group{Name: g.Name, Domain: g.Domain})
	}
	return what, err
}

// issuer is this cloud as other clouds know it.
func (s *Service) issuer(c *rest.Call) (*saml.Issuer, error) {
	cert, key, err := s.signer(c.Context())
	if err != nil {
		return nil, err
	}
	root := s.Options.PublicURL
	if root == "" {
		root = c.Root() // it only names the one whose key this is
	}
	root += s.Options.Prefix + extension + "/saml2/"
	return &saml.Issuer{EntityID: root + "idp", SSOURL: root + "sso", Key: key, Certificate: cert, Language: "en",
		Organization: s.Options.Organization}, nil
}

// issuerMetadata is what other clouds have to know to believe this one.
func (a *API) issuerMetadata(c *rest.Call) (rest.Reply, error) {
	issuer, err := a.s.issuer(c)
	if err != nil {
		return rest.Reply{}, err
	}
	text, err := issuer.Metadata()
	return rest.Reply{Status: http.StatusOK, Body: text}.With("Content-Type", "text/xml"), err
}

// serviceMetadata is what an identity provider has to know of this cloud.
func (a *API) serviceMetadata(c *rest.Call) (rest.Reply, error) {
	p := partyOf(c)
	one, err := a.s.spoken(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	if one.saml == nil {
		return rest.Reply{}, fault.NotFoundf("Could not find metadata: %s speaks OpenID Connect.", p.protocol)
	}
	sp, err := a.s.serviceProvider(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	text, err := sp.Metadata()
	return rest.Reply{Status: http.StatusOK, Body: text}.With("Content-Type", "application/samlmetadata+xml"), err
}
