package transfers

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// Transfer is an offer of a volume.
type Transfer struct {
	ID          string `db:"id"`
	Name        string `db:"name"`
	VolumeID    string `db:"volume_id"`
	ProjectID   string `db:"project_id"` // who offers
	Salt        string `db:"salt"`
	Hash        string `db:"crypt_hash"`
	NoSnapshots bool   `db:"no_snapshots"`
	CreatedAt   int64  `db:"created_at"`
}

var rows = db.NewTable[Transfer]("blockstorage_transfers", "id", "Transfer")

type store struct{ db *db.DB }

func notFound(id string) error { return fault.NotFoundf("Transfer %s could not be found.", id) }

// List loads a page.
func (s store) List(ctx context.Context, q listing.Query) ([]*Transfer, error) {
	return rows.List(ctx, s.db, q)
}

// Get loads one.
func (s store) Get(ctx context.Context, id string) (*Transfer, error) {
	t, err := rows.Get(ctx, s.db, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	return t, err
}

// giveSnapshots moves the snapshots of a volume to a project. It writes a
// sibling's table, so that volume and snapshots change owners at once.
func giveSnapshots(ctx context.Context, tx *db.Tx, volume, project, user string) error {
	_, err := tx.ExecContext(ctx, "UPDATE blockstorage_snapshots SET project_id = $1, user_id = $2 WHERE volume_id = $3", project, user, volume)
	return db.Translate(err, "give snapshots")
}

func snapshotsOf(ctx context.Context, tx *db.Tx, volume string) (n, size int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blockstorage_snapshots WHERE volume_id = $1", volume).Scan(&n, &size)
	return n, size, db.Translate(err, "count snapshots")
}
