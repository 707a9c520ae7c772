package hosts

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// row is one host; its name is the agent's, its id the hypervisor's UUID.
type row struct {
	ID             string         `db:"id"`
	Serial         int64          `db:"serial"`
	ServiceID      string         `db:"service_id"`
	Name           string         `db:"name"`
	Zone           string         `db:"zone"`
	Facts          db.JSON[Facts] `db:"facts"`
	Disabled       bool           `db:"disabled"`
	DisabledReason string         `db:"disabled_reason"`
	ForcedDown     bool           `db:"forced_down"`
	SeenAt         int64          `db:"seen_at"`
	CreatedAt      int64          `db:"created_at"`
}

var rows = db.NewTable[row]("compute_hosts", "id", "Host")

// changesName is the fact that counts the changes of all hosts, in their transactions.
const changesName = "compute.hosts.changes"

func countChange(ctx context.Context, tx *db.Tx) (n int64, err error) {
	err = tx.QueryRowContext(ctx, `INSERT INTO toolkit_facts (name, value) VALUES ($1, '1')
		ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(toolkit_facts.value AS bigint) + 1 AS text) RETURNING CAST(value AS bigint)`, changesName).Scan(&n)
	return n, db.Translate(err, "count change of hosts")
}

func changes(ctx context.Context, q db.Querier) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT CAST(value AS bigint) FROM toolkit_facts WHERE name = $1", changesName).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, db.Translate(err, "read changes of hosts")
}

func byName(ctx context.Context, q db.Querier, name string) (*row, error) {
	r, err := rows.One(ctx, q, listing.Term{Column: "name", Values: []any{name}})
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Compute host %s could not be found.", name)
	}
	return r, err
}
