package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

const (
	keptFor    = time.Hour        // how long discovery is believed
	keysAge    = 10 * time.Second // how old keys are at least before they are looked for again
	retryAfter = 5 * time.Second  // how long a failed attempt stands for those that follow
)

// Config says who the provider is and who we are there.
type Config struct {
	Issuer       string       // as the provider spells it; its discovery document is below it
	ClientID     string       // of this cloud at the provider
	ClientSecret string       // empty for a public client
	Scopes       []string     // asked for in a browser's login; "openid" is added when it is missing
	Audiences    []string     // further names under which tokens are for this cloud, besides ClientID
	HTTP         *http.Client // its transport is used, for a proxy or further roots; nil is the system's
	Clock        clock.Clock
}

// Check tells whether the settings can work at all; Invalid.
func (c Config) Check() error {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return fault.Invalidf("The issuer is no address.").Because(err)
	}
	switch {
	case !permitted(u, true):
		return fault.Invalidf("The issuer has to be an https address, or an http address on loopback.")
	case u.RawQuery != "" || u.Fragment != "":
		return fault.Invalidf("The issuer's address has a query or a fragment.")
	case c.ClientID == "":
		return fault.Invalidf("The client id is missing.")
	}
	return nil
}

// Provider is an OpenID provider as this cloud sees it. Safe for concurrent use.
type Provider struct {
	config Config
	plain  bool // http on loopback will do
	http   *http.Client
	known  *kept[*metadata]
}

// New makes a provider. It asks for nothing yet: a cloud starts also while its
// provider is down. Settings that Check refuses are Unavailable at first use.
func New(c Config) *Provider {
	plain := strings.HasPrefix(c.Issuer, "http:")
	p := &Provider{config: c, plain: plain, http: newClient(c.HTTP, plain)}
	p.known = newKept(c.Clock, p.discover)
	return p
}

var (
	errMalformed  = errors.New("the token is empty, too long or has characters that no token has")
	errOpaque     = errors.New("the token is opaque and the provider has no introspection endpoint")
	errInactive   = errors.New("the provider says that the token is not active")
	errAudience   = errors.New("the token was issued for another application")
	errIssuer     = errors.New("the token is of another issuer")
	errTimes      = errors.New("the token has expired, or is not valid yet")
	errSubject    = errors.New("the token and userinfo are about different subjects, or about none")
	errSpelling   = errors.New("a claim that decides has a second spelling")
	errKind       = errors.New("the token is no access or id token")
	errSignature  = errors.New("no key of the provider has signed this")
	errNonce      = errors.New("the id token is of another login")
	errParty      = errors.New("the id token was made for another party")
	errNoCode     = errors.New("there is no authorization code")
	errNoIDToken  = errors.New("the provider has sent no id token")
	errTooMuch    = errors.New("the claims are too many, too deep or have too long names")
	errTooLong    = errors.New("the answer is too long")
	errRedirect   = errors.New("redirects are not followed here")
	errAddress    = errors.New("not an address that is called: https, or http on loopback when the issuer is there")
	errNoEndpoint = errors.New("the provider has no such endpoint")
)

// refused is the one answer for whatever is wrong with what a client brought.
func refused(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}

// silent is the answer when the provider is what fails.
func silent(why error) error {
	return fault.Unavailablef("The identity provider does not answer as it should. Try again later.").Because(why)
}
