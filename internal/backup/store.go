package backup

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
)

// ImageIDs are the images that a restored database knows.
func ImageIDs(ctx context.Context, d *db.DB) (map[string]bool, error) {
	rows, err := d.QueryContext(ctx, "SELECT id FROM image_images")
	if err != nil {
		return nil, db.Translate(err, "list images")
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, db.Translate(err, "list images")
		}
		out[id] = true
	}
	return out, db.Translate(rows.Err(), "list images")
}

// Exported is how far a database says that the events of an object store were
// exported to it.
func Exported(ctx context.Context, d *db.DB, store string) (n int64, err error) {
	err = d.QueryRowContext(ctx, "SELECT COALESCE(MAX(sequence), 0) FROM objectstore_exports WHERE store = $1", store).Scan(&n)
	return n, db.Translate(err, "read exports")
}
