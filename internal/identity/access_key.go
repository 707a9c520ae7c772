package identity

import (
	"context"

	"github.com/mekcloud/mek/internal/policy"
)

// AccessKey is an EC2 key opened for a service that checks signatures itself.
type AccessKey struct {
	// Secret signs. It MUST NOT be shown, logged or stored.
	Secret string
	// Credentials are what a token made with the key would be worth now. They
	// are shared: readers MUST NOT change them.
	Credentials *policy.Credentials
}

// AccessKeys opens access keys of users. Safe for concurrent use.
type AccessKeys interface {
	// Lookup opens a key by its public half. Unauthenticated, whatever the
	// reason: no such key, its user, project or domain is gone or disabled, the
	// trust or application credential that made it has ended, or its user has no
	// role left on its project. The caller MUST check a signature with the secret
	// before it uses the credentials, and answers both failures alike.
	Lookup(ctx context.Context, access string) (AccessKey, error)
}

// Directory resolves what people write for accounts and users, as Swift's
// access lists have it. Safe for concurrent use.
type Directory interface {
	// FindProject finds a project by id, else by name in the default domain.
	// NotFound otherwise.
	FindProject(ctx context.Context, idOrName string) (*Project, error)
	// FindUser finds a user by id, else by name in the default domain. NotFound otherwise.
	FindUser(ctx context.Context, idOrName string) (*User, error)
}
