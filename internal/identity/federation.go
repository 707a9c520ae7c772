package identity

import (
	"context"
	"encoding/json"
	"time"
)

// IdentityProvider vouches for users of its own, who are let in by one of its
// protocols.
type IdentityProvider struct {
	ID               string // chosen by whoever made it
	DomainID         string // of users whom rules put in no other; never changes
	Description      *string
	Enabled          bool
	AuthorizationTTL *int     // minutes for which a user keeps the groups of a login; nil: the cloud's own
	RemoteIDs        []string // names it has in assertions and tokens, sorted; no two providers share one
	CreatedAt        time.Time
}

// Protocol is a way by which an identity provider vouches, with the mapping
// that says who its users are here. The mapping may be gone: then nobody is let in.
type Protocol struct {
	IdentityProviderID string
	ID                 string // unique in its provider: "saml2", "openid"
	MappingID          string
	RemoteIDAttribute  *string // claim that has the provider's name; nil: as configured
}

// Mapping is rules of package mapping, which has accepted them.
type Mapping struct {
	ID            string
	Rules         json.RawMessage // a list
	SchemaVersion string          // "1.0", "2.0", "3.0"
	CreatedAt     time.Time
}

// ServiceProvider is another cloud for which this one vouches.
type ServiceProvider struct {
	ID               string
	AuthURL          string // where its users log in
	SPURL            string // where assertions are sent
	RelayStatePrefix string
	Description      *string
	Enabled          bool
	CreatedAt        time.Time
}

// Newcomer is somebody for whom an identity provider vouches.
type Newcomer struct {
	FederatedIdentity
	Name     string // as the provider shows him
	DomainID string // of the provider
	Email    string
}

// Vouched is a login for which an identity provider vouches.
type Vouched struct {
	Method string // the protocol, as tokens show it
	Remote string // the client's address, for limits
	// Who finds the user, and what the provider said of him; nil: he is a user of
	// this cloud like any other. Unauthenticated: there is none.
	Who func(ctx context.Context) (*User, *Federation, error)
}

// SubjectIdentityProvider is the subject of revocations that end what an
// identity provider vouched for. Key: its id.
const SubjectIdentityProvider Subject = "idp"

// SubjectProtocol is the subject of revocations that end what an identity provider
// vouched for by one protocol. Key: of ProtocolKey.
const SubjectProtocol Subject = "protocol"

// ProtocolKey names a protocol of an identity provider in revocations.
func ProtocolKey(provider, protocol string) string { return provider + "/" + protocol }
