package federation

import (
	"net/url"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/rest"
)

// Answers makes answers of logins.
type Answers interface {
	Reply(c *rest.Call, status int, login func() (identity.Issued, error)) (rest.Reply, error)
}

// API answers for logins by identity providers, and vouches for this cloud's users.
type API struct {
	s       *Service
	answers Answers
}

// NewAPI makes the API.
func NewAPI(s *Service, a Answers) *API { return &API{s, a} }

const (
	// maxSAML bounds what a provider's answer may be long: base64 of what package saml reads.
	maxSAML = 512 << 10
	maxAsk  = 16 << 10

	extension  = "/v3/OS-FEDERATION"
	signOn     = "/v3/auth/OS-FEDERATION"
	protocolOf = "/identity_providers/{idp}/protocols/{protocol}"
)

// Routes are the operations on logins. All of them are for people who have no
// token yet, or whose token is in the body.
func (a *API) Routes() []rest.Route {
	const authenticate = "authenticate"
	return []rest.Route{
		{Method: "GET", Path: extension + protocolOf + "/auth", Open: true, Handle: a.authenticate},
		{Method: "POST", Path: extension + protocolOf + "/auth", Open: true, Raw: true, Audit: authenticate, MaxBody: maxSAML, Handle: a.authenticate},
		{Method: "GET", Path: extension + protocolOf + "/metadata", Open: true, Extension: true, Handle: a.serviceMetadata},
		{Method: "GET", Path: signOn + "/websso/{protocol}", Open: true, Handle: a.choose},
		{Method: "POST", Path: signOn + "/websso/{protocol}", Open: true, Raw: true, Audit: authenticate, MaxBody: maxAsk, Handle: a.choose},
		{Method: "GET", Path: signOn + protocolOf + "/websso", Open: true, Handle: a.browse},
		{Method: "POST", Path: signOn + protocolOf + "/websso", Open: true, Raw: true, Audit: authenticate, MaxBody: maxSAML, Handle: a.browse},
		{Method: "POST", Path: signOn + "/saml2", Open: true, Audit: authenticate, MaxBody: maxAsk, Handle: a.assertion},
		{Method: "POST", Path: signOn + "/saml2/ecp", Open: true, Audit: authenticate, MaxBody: maxAsk, Handle: a.envelope},
		{Method: "GET", Path: extension + "/saml2/metadata", Open: true, Handle: a.issuerMetadata},
	}
}

func partyOf(c *rest.Call) party { return party{c.Var("idp"), c.Var("protocol")} }

// tail is the path of a party below /v3/OS-FEDERATION and /v3/auth/OS-FEDERATION.
func (p party) tail() string {
	return "/identity_providers/" + url.PathEscape(p.provider) + "/protocols/" + url.PathEscape(p.protocol)
}

// callback is where an OpenID provider sends browsers back to.
func (s *Service) callback(p party) string { return s.public(signOn + p.tail() + "/websso") }

// pathOf is where a browser's login by a party begins.
func (s *Service) pathOf(p party) string { return s.Options.Prefix + signOn + p.tail() + "/websso" }

// public is an address of this service as providers know it.
func (s *Service) public(path string) string { return s.Options.PublicURL + s.Options.Prefix + path }
