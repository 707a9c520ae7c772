package quota

import (
	"context"
	"strconv"

	"github.com/mekcloud/mek/internal/db"
)

// defaultClass is the owner of changed defaults; no project has such an id.
const defaultClass = "class:default"

// lock makes transactions of one project and service follow each other. On
// SQLite all of them do.
func lock(ctx context.Context, tx *db.Tx, service, project string) error {
	if tx.Engine() == db.SQLite {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO quota_locks (project_id, service, touched) VALUES ($1, $2, 1)
		ON CONFLICT (project_id, service) DO UPDATE SET touched = excluded.touched`, project, service)
	return db.Translate(err, "lock quota")
}

// limitsOf are the limits of some owners, by owner.
func limitsOf(ctx context.Context, q db.Querier, service string, owners ...string) (map[string]map[string]int64, error) {
	query, ids := db.In("SELECT project_id, resource, hard_limit FROM quota_limits WHERE project_id IN (?) AND service = $", owners)
	rows, err := q.QueryContext(ctx, query+strconv.Itoa(len(ids)+1), append(ids, service)...)
	if err != nil {
		return nil, db.Translate(err, "read limits")
	}
	defer rows.Close()
	out := map[string]map[string]int64{}
	for _, owner := range owners {
		out[owner] = map[string]int64{}
	}
	for rows.Next() {
		var owner, name string
		var limit int64
		if err := rows.Scan(&owner, &name, &limit); err != nil {
			return nil, db.Translate(err, "read limits")
		}
		out[owner][name] = limit
	}
	return out, db.Translate(rows.Err(), "read limits")
}

func setLimit(ctx context.Context, tx *db.Tx, service, owner, name string, limit int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO quota_limits (project_id, service, resource, hard_limit) VALUES ($1, $2, $3, $4)
		ON CONFLICT (project_id, service, resource) DO UPDATE SET hard_limit = excluded.hard_limit`, owner, service, name, limit)
	return db.Translate(err, "set limit")
}

// renameLimits makes the limits of one resource those of another, whoever owns
// them. What is left of an earlier resource of that name gives way.
func renameLimits(ctx context.Context, tx *db.Tx, service, from, to string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM quota_limits WHERE service = $1 AND resource = $2", service, to); err != nil {
		return db.Translate(err, "rename limits")
	}
	_, err := tx.ExecContext(ctx, "UPDATE quota_limits SET resource = $1 WHERE service = $2 AND resource = $3", to, service, from)
	return db.Translate(err, "rename limits")
}

func deleteLimits(ctx context.Context, tx *db.Tx, service, owner string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM quota_limits WHERE service = $1 AND project_id = $2", service, owner)
	return db.Translate(err, "delete limits")
}

// ownersOf lists the projects that have limits of their own, in order.
func ownersOf(ctx context.Context, q db.Querier, service string) ([]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT DISTINCT project_id FROM quota_limits WHERE service = $1 AND project_id <> $2 ORDER BY project_id", service, defaultClass)
	if err != nil {
		return nil, db.Translate(err, "list owners of limits")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var owner string
		if err := rows.Scan(&owner); err != nil {
			return nil, db.Translate(err, "list owners of limits")
		}
		out = append(out, owner)
	}
	return out, db.Translate(rows.Err(), "list owners of limits")
}
