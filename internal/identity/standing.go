package identity

import (
	"context"

	"github.com/mekcloud/mek/internal/policy"
)

// Standing tells whether somebody who was let in once would still be: what
// lasts, a console or a transfer, ends within a second of what ends tokens.
// That a token has come to its time ends nothing that began before.
// Implementations are safe for concurrent use.
type Standing interface {
	// Standing describes who asks, for Stands, in a form that can be stored and
	// opens nothing.
	Standing(c *policy.Credentials) string
	// Stands is nil while whoever is described keeps the scope and the roles that he
	// had, and nothing has ended his credentials; else Unauthenticated or Forbidden.
	Stands(ctx context.Context, standing string) error
}
