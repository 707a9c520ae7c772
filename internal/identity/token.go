package identity

import (
	"time"

	"github.com/mekcloud/mek/internal/policy"
)

// Token is what a bearer token carries, sealed. IssuedAt has microseconds, so
// that a revocation in the same second is exact; ExpiresAt has whole seconds.
type Token struct {
	UserID          string
	Methods         []string
	Scope           Scope
	AppCredentialID string
	OAuthID         string      // OAuth access token that it was made with
	Federation      *Federation // nil unless an identity provider vouched for the user
	AuditIDs        []string    // own id, then the id of the first token of its chain
	IssuedAt        time.Time
	ExpiresAt       time.Time
}

// Issued is a new token and what it is worth.
type Issued struct {
	Secret string
	Token  Token
	Access *Access
}

// Federation is what an identity provider said when it vouched for a user. A
// token of such a login carries it, and so do those made from that token.
type Federation struct {
	ProviderID string
	ProtocolID string
	Groups     []string // ids of groups the user is in as long as the token lives
}

// ExtraFederation is the name under which credentials carry a *Federation.
const ExtraFederation = "federation"

// FederationOf is what an identity provider said of a caller; nil for one of this cloud.
func FederationOf(c *policy.Credentials) *Federation {
	f, _ := c.Extra[ExtraFederation].(*Federation) // absent: nil
	return f
}

// ExtraShadow is the name under which credentials say that others may have the
// user's name, too.
const ExtraShadow = "shadow"

// ShadowOf tells whether a caller's name may be that of others of his domain, too:
// such a name says nothing about who he is.
func ShadowOf(c *policy.Credentials) bool { return c.Extra[ExtraShadow] == true }

// MaxFederatedGroups bounds Federation.Groups: tokens travel in headers.
const MaxFederatedGroups = 64

// Receipt says which methods of a login have held, for one that needs more.
type Receipt struct {
	UserID    string
	Methods   []string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// AuditID names this one token in logs and revocations.
func (t Token) AuditID() string {
	if len(t.AuditIDs) == 0 {
		return ""
	}
	return t.AuditIDs[0]
}

// ChainID names the login from which this token was derived.
func (t Token) ChainID() string {
	if len(t.AuditIDs) == 0 {
		return ""
	}
	return t.AuditIDs[len(t.AuditIDs)-1]
}

// Access is what a token is worth now. It is shared between requests: readers
// MUST NOT change it.
type Access struct {
	User          Named
	UserDomain    Named
	Shadow        bool  // others of the domain may have the user's name, too
	Project       Named // empty unless project scoped
	ProjectDomain Named
	IsDomain      bool // the project acts as a domain
	Domain        Named
	System        bool
	Roles         []Named // effective, sorted by name
	AppCredential *AppCredential
	Trust         *Trust
	OAuth         *OAuthAccess
	Federation    *Federation
	// PasswordExpiresAt is zero when the password does not expire.
	PasswordExpiresAt time.Time
	// ExpiresBy bounds every token of this access: the end of an application
	// credential or trust. Zero: unbounded.
	ExpiresBy time.Time
}

// Named is an id with its name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// RoleIDs lists the ids of the effective roles.
func (a *Access) RoleIDs() []string { return ids(a.Roles) }

// RoleNames lists the names of the effective roles.
func (a *Access) RoleNames() []string {
	out := make([]string, len(a.Roles))
	for i, r := range a.Roles {
		out[i] = r.Name
	}
	return out
}

func ids(list []Named) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.ID
	}
	return out
}

// Subject is the kind of thing whose tokens a revocation ends.
type Subject string

// The subjects of revocations.
const (
	SubjectToken   Subject = "token"   // key: audit id
	SubjectChain   Subject = "chain"   // key: chain id
	SubjectUser    Subject = "user"    // key: user id
	SubjectProject Subject = "project" // key: project id
	SubjectDomain  Subject = "domain"  // key: domain id; hits users and projects of the domain too
	SubjectTrust   Subject = "trust"   // key: trust id
	SubjectAppCred Subject = "appcred" // key: application credential id
	SubjectOAuth   Subject = "oauth"   // key: OAuth access token id
)

// Revocation ends the tokens of a subject that were issued before a moment.
type Revocation struct {
	Subject Subject
	Key     string
	Before  time.Time // tokens issued earlier than this are dead
	Until   time.Time // after this no such token can be alive; the row may go
}
