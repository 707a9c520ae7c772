package federation

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/rest"
)

const cookieName = "mek_sso_"

// cookie gives a journey to the browser. Providers that speak SAML send it back by
// a form of their own, with which browsers send cookies only when told to, and only
// by TLS, which may end at a proxy in front of this server.
func (s *Service) cookie(c *rest.Call, j journey) (string, error) {
	text, err := s.sealed(j)
	if err != nil {
		return "", err
	}
	k := &http.Cookie{Name: cookieName + j.ID, Value: text, Path: s.Options.Prefix, MaxAge: int(loginLife / time.Second), HttpOnly: true}
	if c.TLS != nil || strings.HasPrefix(s.Options.PublicURL, "https:") {
		k.Secure, k.SameSite = true, http.SameSiteNoneMode
	}
	return k.String(), nil
}

// back opens the journey that a browser comes back from. Unauthenticated: it
// never went on one.
func (s *Service) back(c *rest.Call, p party, state string) (journey, error) {
	k, err := c.Cookie(cookieName + state)
	if err != nil {
		return journey{}, refused(errNoJourney)
	}
	j, err := s.opened(k.Value, p)
	if err == nil && subtle.ConstantTimeCompare([]byte(j.ID), []byte(state)) != 1 {
		err = refused(errNoJourney)
	}
	return j, err
}

// ended takes the cookie away.
func (s *Service) ended(j journey) string {
	return (&http.Cookie{Name: cookieName + j.ID, Path: s.Options.Prefix, MaxAge: -1}).String()
}
