package identityapi

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
)

type seedRow struct {
	Name      string `db:"name"`
	ObjectID  string `db:"object_id"`
	CreatedAt int64  `db:"created_at"`
}

var seeds = db.NewTable[seedRow]("identity_seeds", "name", "Seed")

// sown lists what bootstrap has made before: name → id of what it made.
func sown(ctx context.Context, q db.Querier) (map[string]string, error) {
	rows, err := seeds.Find(ctx, q)
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[r.Name] = r.ObjectID
	}
	return out, err
}

func sow(ctx context.Context, d *db.DB, c clock.Clock, name, object string) error {
	return d.Write(ctx, func(tx *db.Tx) error {
		return seeds.Upsert(ctx, tx, &seedRow{name, object, clock.Micros(c.Now())})
	})
}
