package identity

import "time"

// User is somebody who can log in.
type User struct {
	ID               string
	Name             string
	DomainID         string
	DefaultProjectID string
	Enabled          bool
	Extra            map[string]any
	Options          UserOptions
	CreatedAt        time.Time
	LastActive       time.Time // day of the last login, zero if none is known
	Password         Password
	// Shadow says that the user was made when an identity provider first vouched
	// for him: nobody finds him by his name, which others of the domain may have too.
	Shadow bool
	// Federated are the names by which identity providers know the user. Only who
	// shows or writes a user fills it in.
	Federated []FederatedIdentity
}

// FederatedIdentity is how one protocol of an identity provider names a user.
type FederatedIdentity struct {
	ProviderID string
	ProtocolID string
	UniqueID   string
}

// Password is the state of a user's current password. Hash is never shown.
type Password struct {
	Hash        string // empty: the user has no password
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	SelfService bool      // set by the user, not by an administrator
	Failures    int
	LastFailure time.Time
}

// UserOptions are the per-user exceptions of Keystone. A nil pointer is not set.
type UserOptions struct {
	IgnoreChangePasswordUponFirstUse *bool      `json:"ignore_change_password_upon_first_use,omitempty"`
	IgnorePasswordExpiry             *bool      `json:"ignore_password_expiry,omitempty"`
	IgnoreLockoutFailureAttempts     *bool      `json:"ignore_lockout_failure_attempts,omitempty"`
	IgnoreUserInactivity             *bool      `json:"ignore_user_inactivity,omitempty"`
	LockPassword                     *bool      `json:"lock_password,omitempty"`
	MultiFactorAuthEnabled           *bool      `json:"multi_factor_auth_enabled,omitempty"`
	MultiFactorAuthRules             [][]string `json:"multi_factor_auth_rules,omitempty"`
}

// Group is a set of users of any domain that takes role assignments.
type Group struct {
	ID          string
	Name        string
	DomainID    string
	Description string
	Extra       map[string]any
	CreatedAt   time.Time
}

// NamedIn is a name in a domain, both as people read them.
type NamedIn struct{ Name, Domain string }

// Verdict is the outcome of a check of a password.
type Verdict struct {
	OK    bool
	Stale bool // right, but the hash is of an old kind: store a new one
}
