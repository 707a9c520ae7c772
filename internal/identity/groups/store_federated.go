package groups

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
)

func (store) extend(ctx context.Context, tx *db.Tx, group, user, provider string, until int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_expiring_memberships (user_id, group_id, provider_id, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id, group_id, provider_id) DO UPDATE SET expires_at = excluded.expires_at`, user, group, provider, until)
	return db.Translate(err, "put user into group for a time")
}

// ends tells until when a user is in groups that he is in for a time only.
func (store) ends(ctx context.Context, q db.Querier, user string, now int64) (map[string]time.Time, error) {
	rows, err := q.QueryContext(ctx, `SELECT group_id, MAX(expires_at) FROM identity_expiring_memberships WHERE user_id = $1 AND expires_at > $2
		AND group_id NOT IN (SELECT group_id FROM identity_group_users WHERE user_id = $3) GROUP BY group_id`, user, now, user)
	if err != nil {
		return nil, db.Translate(err, "read memberships that end")
	}
	defer rows.Close()
	out := map[string]time.Time{}
	for rows.Next() {
		var group string
		var at int64
		if err := rows.Scan(&group, &at); err != nil {
			return nil, db.Translate(err, "scan membership")
		}
		out[group] = clock.FromMicros(at)
	}
	return out, db.Translate(rows.Err(), "read memberships that end")
}

func (store) expire(ctx context.Context, tx *db.Tx, now int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_expiring_memberships WHERE expires_at <= $1`, now)
	return db.Translate(err, "remove memberships that ended")
}
