package federation

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

var errRefusedThere = errors.New("the provider did not log the user in")

// origin finds the dashboard that a browser comes from and the token goes to.
// Unauthenticated: the operator does not trust it.
func (a *API) origin(c *rest.Call) (string, error) {
	values := c.Values()
	if c.Method == http.MethodPost && !values.Has("origin") {
		body, err := bodyOf(c)
		if err != nil {
			return "", err
		}
		if values, err = formOf(body); err != nil {
			return "", err
		}
	}
	origin := values.Get("origin")
	if origin == "" {
		return "", fault.Invalidf("Request must have an origin query parameter")
	}
	if !a.s.trusted(origin) {
		return "", fault.New(fault.Unauthenticated, "%.200s is not a trusted dashboard host", origin)
	}
	return origin, nil
}

// choose sends a browser to the identity provider that speaks a protocol, or lets
// the user choose among several.
func (a *API) choose(c *rest.Call) (rest.Reply, error) {
	origin, err := a.origin(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var open []party
	for _, p := range a.s.with(c.Var("protocol")) {
		_, _, err := a.s.known(c.Context(), p)
		switch {
		case err == nil:
			open = append(open, p)
		case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Forbidden):
			return rest.Reply{}, err
		}
	}
	switch len(open) {
	case 0:
		return rest.Reply{}, fault.New(fault.Unauthenticated, "No identity provider speaks %.100s.", c.Var("protocol"))
	case 1:
		return a.depart(c, open[0], origin)
	}
	links := make([]link, len(open))
	for i, p := range open {
		links[i] = link{p.provider, a.s.pathOf(p) + "?origin=" + url.QueryEscape(origin)}
	}
	return page(choice, links)
}

// browse is a browser's login by one provider: its beginning, or by OpenID Connect
// its way back.
func (a *API) browse(c *rest.Call) (rest.Reply, error) {
	p := partyOf(c)
	if v := c.Values(); c.Method == http.MethodGet && v.Has("state") && !v.Has("origin") {
		return a.redirected(c, p)
	}
	origin, err := a.origin(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return a.depart(c, p, origin)
}

// depart sends a browser to a provider.
func (a *API) depart(c *rest.Call, p party, origin string) (rest.Reply, error) {
	one, err := a.s.spoken(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	j := a.s.begin(p, origin)
	var to string
	var form url.Values
	if one.oidc != nil {
		to, err = one.oidc.AuthCodeURL(c.Context(), a.s.callback(p), j.ID, j.Nonce, j.Verifier)
	} else {
		err = a.s.inLine(c.Context(), c.RemoteAddr, func() (err error) {
			to, form, err = a.s.askByBrowser(c.Context(), p, one, &j)
			return err
		})
	}
	if err != nil {
		return rest.Reply{}, err
	}
	cookie, err := a.s.cookie(c, j)
	if err != nil {
		return rest.Reply{}, err
	}
	reply := rest.Reply{Status: http.StatusFound}.With("Location", to)
	if form != nil {
		if reply, err = page(forward, sent{to, form}); err != nil {
			return rest.Reply{}, err
		}
	}
	return reply.With("Set-Cookie", cookie).With("Cache-Control", "no-store"), nil
}

// redirected is the way back by OpenID Connect.
func (a *API) redirected(c *rest.Call, p party) (rest.Reply, error) {
	one, err := a.s.spoken(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	j, err := a.s.back(c, p, c.Values().Get("state"))
	if err != nil {
		return rest.Reply{}, err
	}
	if one.oidc == nil {
		return rest.Reply{}, refused(errNotOIDC)
	}
	return a.arrived(c, j, p, func() (said, error) {
		if c.Values().Get("error") != "" {
			return said{}, refused(errRefusedThere)
		}
		claims, err := one.oidc.Exchange(c.Context(), a.s.callback(p), c.Values().Get("code"), j.Nonce, j.Verifier)
		return ofClaims(claims), err
	})
}

// arrived ends a browser's login: the token goes to the dashboard, by a form.
func (a *API) arrived(c *rest.Call, j journey, p party, prove func() (said, error)) (rest.Reply, error) {
	if !a.s.trusted(j.Origin) { // not any more
		return rest.Reply{}, refused(errNoJourney)
	}
	issued, err := a.s.admit(c.Context(), p, c.RemoteAddr, prove)
	if err != nil {
		return rest.Reply{}, err
	}
	reply, err := page(forward, sent{j.Origin, url.Values{"token": {issued.Secret}}})
	return reply.With("Set-Cookie", a.s.ended(j)), err
}
