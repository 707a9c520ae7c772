package auth

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// receipt answers a login that needs more methods.
func receipt(m *NeedsMore) (rest.Reply, error) {
	body := map[string]any{"receipt": map[string]any{"methods": m.Of.Methods, "user": in(m.User, m.Domain), "expires_at": wire.Time(m.Of.ExpiresAt),
		"issued_at": wire.Time(m.Of.IssuedAt)}, "required_auth_methods": m.Required}
	return rest.Reply{Status: http.StatusUnauthorized, Body: body}.With(receiptHeader, m.Receipt), nil
}

// oauth2 gives a token for client credentials (RFC 6749, section 4.4): the id
// and secret of an application credential.
func (a *API) oauth2(c *rest.Call) (rest.Reply, error) {
	raw, err := io.ReadAll(c.Body)
	if err != nil {
		return rest.Reply{}, fault.Invalidf("Malformed request body: it could not be read").Because(err)
	}
	form, err := url.ParseQuery(string(raw))
	switch grant := form.Get("grant_type"); {
	case err != nil || grant == "":
		return wrong(http.StatusBadRequest, "invalid_request", "The parameter grant_type is required.")
	case grant != "client_credentials":
		return wrong(http.StatusBadRequest, "unsupported_grant_type", "The parameter grant_type "+grant+" is not supported.")
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := c.BasicAuth(); ok {
		id, secret = user, password
	}
	if id == "" || secret == "" {
		return wrong(http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
	}
	issued, err := a.s.ByClientCredentials(c.Context(), id, secret, c.RemoteAddr)
	if fault.Is(err, fault.Unauthenticated) || errors.As(err, new(*NeedsMore)) {
		return wrong(http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
	}
	if err != nil {
		return rest.Reply{}, err
	}
	left := issued.Token.ExpiresAt.Sub(issued.Token.IssuedAt)
	reply, err := rest.OK(map[string]any{"access_token": issued.Secret, "token_type": "Bearer", "expires_in": int(left.Round(time.Second).Seconds())})
	return reply.With("Cache-Control", "no-store"), err
}

// wrong is an error in OAuth's words.
func wrong(status int, code, text string) (rest.Reply, error) {
	reply := rest.Reply{Status: status, Body: map[string]any{"error": code, "error_description": text}}.With("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		reply = reply.With("WWW-Authenticate", `Basic realm="OAuth2"`)
	}
	return reply, nil
}
