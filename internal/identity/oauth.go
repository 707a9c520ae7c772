package identity

import (
	"net/url"
	"time"
)

// Consumer is a program that users may lend roles to by OAuth 1.0a. Secret is
// sealed at rest and shown once.
type Consumer struct {
	ID          string
	Secret      string
	Description *string
	Extra       map[string]any
	CreatedAt   time.Time
}

// OAuthRequest is a consumer's wish for roles in a project. A user who grants
// it gives it a verifier, roles and themself.
type OAuthRequest struct {
	ID         string
	Secret     string
	ConsumerID string
	ProjectID  string
	UserID     string // empty until it is granted
	RoleIDs    []string
	Verifier   string
	ExpiresAt  time.Time
}

// OAuthAccess is what a granted request was turned into.
type OAuthAccess struct {
	ID         string
	Secret     string
	ConsumerID string
	UserID     string
	ProjectID  string
	RoleIDs    []string
	ExpiresAt  time.Time
}

// SignedRequest is what of a request an OAuth signature is made over.
type SignedRequest struct {
	Method        string
	URL           string // scheme, host and path, as the client used them
	Query         url.Values
	Authorization string // the header
}
