package records

import (
	"context"
	"database/sql"

	"github.com/mekcloud/mek/internal/placement"
)

// Usage is what consumers of one type use.
type Usage struct {
	Type      string // as stored; empty: not said
	Consumers int64
	Used      placement.Resources
}

// Usages sums what a project uses, by type of consumer. An empty user means all.
func (s *Store) Usages(ctx context.Context, project, user string) (map[string]*Usage, error) {
	out := map[string]*Usage{}
	of := func(kind string) *Usage {
		if out[kind] == nil {
			out[kind] = &Usage{Type: kind, Used: placement.Resources{}}
		}
		return out[kind]
	}
	const used = `SELECT c.type, a.class, CAST(SUM(a.used) AS bigint) FROM placement_allocations a JOIN placement_consumers c ON c.uuid = a.consumer
		WHERE c.project_id = $1 AND ($2 = '' OR c.user_id = $2) GROUP BY c.type, a.class`
	err := each(ctx, s.db, "sum usage", used, func(rows *sql.Rows) error {
		var kind, class string
		var n int64
		err := rows.Scan(&kind, &class, &n)
		of(kind).Used[class] = n
		return err
	}, project, user)
	if err != nil {
		return nil, err
	}
	const consumers = "SELECT type, COUNT(*) FROM placement_consumers WHERE project_id = $1 AND ($2 = '' OR user_id = $2) GROUP BY type"
	err = each(ctx, s.db, "count consumers", consumers, func(rows *sql.Rows) error {
		var kind string
		var n int64
		err := rows.Scan(&kind, &n)
		of(kind).Consumers = n
		return err
	}, project, user)
	return out, err
}
