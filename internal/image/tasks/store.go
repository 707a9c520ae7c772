package tasks

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID        string                  `db:"id"`
	ImageID   string                  `db:"image_id"`
	Owner     string                  `db:"owner"`
	UserID    string                  `db:"user_id"`
	RequestID string                  `db:"request_id"`
	Type      string                  `db:"type"`
	Status    string                  `db:"status"`
	Message   string                  `db:"message"`
	Input     db.JSON[map[string]any] `db:"input"`
	Result    db.JSON[map[string]any] `db:"result"`
	CreatedAt int64                   `db:"created_at"`
	UpdatedAt int64                   `db:"updated_at"`
}

var rows = db.NewTable[row]("image_tasks", "id", "Task")

func is(column, value string) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

func ofImage(ctx context.Context, q db.Querier, image string) ([]*row, error) {
	return rows.Find(ctx, q, is("image_id", image))
}

// expire removes tasks that ended before a time.
func expire(ctx context.Context, tx *db.Tx, before int64) error {
	_, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "updated_at", Op: listing.Less, Values: []any{before}})
	return err
}
