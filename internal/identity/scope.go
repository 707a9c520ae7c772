package identity

// Scope is what a token acts on. At most one of ProjectID, DomainID and System
// is set; none of them means unscoped. A trust is a project scope (or none)
// lent by somebody else.
type Scope struct {
	ProjectID string
	DomainID  string
	System    bool
	TrustID   string
}

// Unscoped tells whether a token of this scope acts on nothing.
func (s Scope) Unscoped() bool { return s.ProjectID == "" && s.DomainID == "" && !s.System }

// DefaultDomainID is the id of the domain every cloud starts with.
const DefaultDomainID = "default"

// Methods of authentication as the wire names them.
const (
	MethodPassword      = "password"
	MethodToken         = "token"
	MethodAppCredential = "application_credential"
	MethodEC2           = "ec2credential"
	MethodTOTP          = "totp"
	MethodOAuth1        = "oauth1"
	MethodMapped        = "mapped"
	MethodSAML2         = "saml2"
	MethodOpenID        = "openid"
)
