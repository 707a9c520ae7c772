package access

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/identity"
)

// vouched is nil while the provider that vouched for a user is one of this cloud's.
func (s *store) vouched(ctx context.Context, f *identity.Federation) error {
	if f == nil {
		return nil
	}
	var enabled bool
	err := s.q.QueryRowContext(ctx, `SELECT i.enabled FROM identity_protocols p
		JOIN identity_providers i ON i.id = p.provider_id WHERE p.provider_id = $1 AND p.name = $2`, f.ProviderID, f.ProtocolID).Scan(&enabled)
	if err = db.Translate(err, "read identity provider"); err != nil {
		return missing(err, "identity provider")
	}
	if !enabled {
		return worthless("the identity provider is disabled")
	}
	return nil
}
