package identityproviders

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
)

// forgetNames removes the names by which a protocol knows users.
func (store) forgetNames(ctx context.Context, tx *db.Tx, provider, protocol string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_federated_users WHERE provider_id = $1 AND protocol_id = $2`, provider, protocol)
	return db.Translate(err, "forget names of users")
}

// endMemberships takes users out of the groups that a provider put them into for a time.
func (store) endMemberships(ctx context.Context, tx *db.Tx, provider string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_expiring_memberships WHERE provider_id = $1`, provider)
	return db.Translate(err, "end memberships")
}
