package identity

import "time"

// Credential is a secret kept for a user; Blob is sealed at rest.
type Credential struct {
	ID        string
	UserID    string
	ProjectID string
	Type      string // "ec2", "cert", "totp" or any word
	Blob      string
	CreatedAt time.Time
}

// AppCredential lets a program act for a user in one project with some of the
// user's roles.
type AppCredential struct {
	ID           string
	Name         string
	Description  string
	UserID       string
	ProjectID    string
	SecretHash   string
	Roles        []Named
	Rules        []AccessRule
	Unrestricted bool
	System       string
	ExpiresAt    time.Time // zero: never
	CreatedAt    time.Time
}

// AccessRule lets an application credential call one kind of request. Service
// is a type of the catalog, Path a pattern with *, ** and {named} parts.
type AccessRule struct {
	ID      string `json:"id"`
	UserID  string `json:"-"`
	Service string `json:"service"`
	Path    string `json:"path"`
	Method  string `json:"method"`
}

// Trust lends some of the trustor's roles in a project to the trustee.
type Trust struct {
	ID              string
	TrustorID       string
	TrusteeID       string
	ProjectID       string
	Impersonation   bool
	Roles           []Named
	ExpiresAt       time.Time // zero: never
	DeletedAt       time.Time // zero: alive
	RemainingUses   int       // -1: unlimited
	Redelegations   int       // how many times it may still be lent on
	RedelegatedID   string
	AllowRedelegate bool
	CreatedAt       time.Time
}
