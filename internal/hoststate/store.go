// Package hoststate counts the revisions of what each host should have: one
// counter per host and section, raised in the transaction that changes a row
// from which the section is rendered. A waiter waits for the revision that its
// own transaction raised; rendering reads the revision before the rows, so that
// a document never claims a revision whose rows it has not seen.
package hoststate

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mekcloud/mek/internal/db"
)

// Raise adds one to the revision of a host's section and returns it. Until the
// transaction ends, others that raise the same one wait: their rows become
// visible in the order of their revisions.
func Raise(ctx context.Context, tx *db.Tx, host, section string) (int64, error) {
	var revision int64
	err := tx.QueryRowContext(ctx, `INSERT INTO hoststate_revisions (host, section, revision) VALUES ($1, $2, 1)
		ON CONFLICT (host, section) DO UPDATE SET revision = hoststate_revisions.revision + 1 RETURNING revision`, host, section).Scan(&revision)
	return revision, db.Translate(err, "raise revision")
}

// Revision is the current revision of a host's section; 0 before the first.
func Revision(ctx context.Context, q db.Querier, host, section string) (int64, error) {
	var revision int64
	err := q.QueryRowContext(ctx, "SELECT revision FROM hoststate_revisions WHERE host = $1 AND section = $2", host, section).Scan(&revision)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return revision, db.Translate(err, "read revision")
}

// Forget drops the counters of a host that left the cloud.
func Forget(ctx context.Context, tx *db.Tx, host string) error {
	for _, statement := range []string{"DELETE FROM hoststate_revisions WHERE host = $1", "DELETE FROM hoststate_accepted WHERE host = $1"} {
		if _, err := tx.ExecContext(ctx, statement, host); err != nil {
			return db.Translate(err, "forget host")
		}
	}
	return nil
}
