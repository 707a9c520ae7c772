package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// Group is a server group.
type Group struct {
	ID        string `db:"id"`
	ProjectID string `db:"project_id"`
	UserID    string `db:"user_id"`
	Name      string `db:"name"`
	Policy    string `db:"policy"`
	// MaxPerHost is the rule max_server_per_host of anti-affinity; 0: not given.
	MaxPerHost int   `db:"max_per_host"`
	CreatedAt  int64 `db:"created_at"` // microseconds
}

var rows = db.NewTable[Group]("compute_server_groups", "id", "Instance group")

type store struct{ db *db.DB }

// List loads a page of groups.
func (s store) List(ctx context.Context, q listing.Query) ([]*Group, error) {
	return rows.List(ctx, s.db, q)
}

// Get loads one group.
func (s store) Get(ctx context.Context, id string) (*Group, error) { return rows.Get(ctx, s.db, id) }
