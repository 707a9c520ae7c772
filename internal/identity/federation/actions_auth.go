package federation

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/saml"
	"github.com/mekcloud/mek/internal/rest"
)

var (
	errNothing = errors.New("the request brings neither a bearer token nor an answer of the provider")
	errNotOIDC = errors.New("the provider does not speak OpenID Connect")
)

// authenticate is where programs log in, with an access token of the provider or
// with its answer, and where browsers bring its answer by SAML.
func (a *API) authenticate(c *rest.Call) (rest.Reply, error) {
	p := partyOf(c)
	one, err := a.s.spoken(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	if scheme, token, ok := strings.Cut(c.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return a.bearer(c, p, one, strings.TrimSpace(token))
	}
	if one.saml == nil {
		return rest.Reply{}, refused(errNothing)
	}
	if c.Method != http.MethodPost {
		if strings.Contains(c.Header.Get("Accept"), saml.PAOSType) {
			return a.ask(c, p)
		}
		return rest.Reply{}, refused(errNothing)
	}
	body, err := bodyOf(c)
	if err != nil {
		return rest.Reply{}, err
	}
	switch kind, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")); kind {
	case saml.PAOSType:
		return a.presented(c, p, one, body)
	case formType:
		return a.posted(c, p, one, body)
	}
	return rest.Reply{}, refused(errNothing)
}

const formType = "application/x-www-form-urlencoded"

func bodyOf(c *rest.Call) ([]byte, error) {
	body, err := io.ReadAll(c.Body)
	if err != nil {
		return nil, fault.Invalidf("The request's body could not be read.").Because(err)
	}
	return body, nil
}

func formOf(body []byte) (url.Values, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fault.Invalidf("The request's body is no form.").Because(err)
	}
	return form, nil
}

func (a *API) bearer(c *rest.Call, p party, one *setup, token string) (rest.Reply, error) {
	if one.oidc == nil {
		return rest.Reply{}, refused(errNotOIDC)
	}
	return a.answers.Reply(c, http.StatusCreated, func() (identity.Issued, error) {
		return a.s.admit(c.Context(), p, c.RemoteAddr, func() (said, error) {
			claims, err := one.oidc.Bearer(c.Context(), token)
			return ofClaims(claims), err
		})
	})
}

// ofClaims is what an OpenID provider said.
func ofClaims(claims oidc.Claims) said {
	what := said{claims: claims.Environment()}
	if iss := claims["iss"]; len(iss) == 1 {
		what.issuer = iss[0]
	}
	return what
}

// ask gives a program what it takes to the provider (ECP).
func (a *API) ask(c *rest.Call, p party) (rest.Reply, error) {
	sp, err := a.s.serviceProvider(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	j := a.s.begin(p, "")
	var soap []byte
	err = a.s.inLine(c.Context(), c.RemoteAddr, func() (err error) {
		soap, err = sp.ECPRequest(func(request string) (string, error) {
			j.RequestID = request
			return a.s.sealed(j)
		}, a.s.Clock.Now())
		return err
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{Status: http.StatusOK, Body: soap}.With("Content-Type", saml.PAOSType).With("Cache-Control", "no-store"), nil
}

// presented is a provider's answer that a program brings: one that it asked for,
// or another cloud's (Keystone to Keystone), for which nobody asks.
func (a *API) presented(c *rest.Call, p party, one *setup, soap []byte) (rest.Reply, error) {
	return a.answers.Reply(c, http.StatusCreated, func() (identity.Issued, error) {
		return a.s.admit(c.Context(), p, c.RemoteAddr, func() (said, error) {
			provider, sp, err := a.s.sides(c.Context(), p, one)
			if err != nil {
				return said{}, err
			}
			state, err := saml.RelayState(soap)
			if err != nil {
				return said{}, err
			}
			var asked []string
			if j, err := a.s.opened(state, p); err == nil {
				asked = []string{j.RequestID}
			}
			assertion, _, err := sp.VerifyECP(provider, soap, asked, a.s.Clock.Now())
			if err != nil {
				return said{}, err
			}
			return a.s.taken(c.Context(), assertion)
		})
	})
}

// posted is a provider's answer that a browser brings.
func (a *API) posted(c *rest.Call, p party, one *setup, body []byte) (rest.Reply, error) {
	form, err := formOf(body)
	if err != nil {
		return rest.Reply{}, err
	}
	j, err := a.s.back(c, p, form.Get("RelayState"))
	if err != nil {
		return rest.Reply{}, err
	}
	return a.arrived(c, j, p, func() (said, error) {
		provider, sp, err := a.s.sides(c.Context(), p, one)
		if err != nil {
			return said{}, err
		}
		response, err := saml.DecodeResponse(form.Get("SAMLResponse"))
		if err != nil {
			return said{}, err
		}
		assertion, err := sp.Verify(provider, response, []string{j.RequestID}, a.s.Clock.Now())
		if err != nil {
			return said{}, err
		}
		return a.s.taken(c.Context(), assertion)
	})
}
