package manageable

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID        string `db:"id"`
	Kind      string `db:"kind"`
	Host      string `db:"host"`
	Size      int64  `db:"size"`
	Epoch     int64  `db:"epoch"`
	VolumeID  string `db:"volume_id"`
	CreatedAt int64  `db:"created_at"`
}

// The kinds of relics.
const (
	kindVolume   = "volume"
	kindSnapshot = "snapshot"
)

var rows = db.NewTable[row]("blockstorage_relics", "id", "Existing volume")

// Store keeps relics. Safe for concurrent use.
type Store struct{ db *db.DB }

var _ blockstorage.Relics = (*Store)(nil)

// NewStore makes a store.
func NewStore(d *db.DB) *Store { return &Store{d} }

func (r *row) relic() *blockstorage.Relic {
	return &blockstorage.Relic{ID: r.ID, Snapshot: r.Kind == kindSnapshot, Host: r.Host, SizeGiB: r.Size, Epoch: r.Epoch, VolumeID: r.VolumeID, CreatedAt: r.CreatedAt}
}

// Get loads one.
func (s *Store) Get(ctx context.Context, id string) (*blockstorage.Relic, error) {
	r, err := rows.Get(ctx, s.db, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("No volume or snapshot %s was unmanaged.", id)
	}
	if err != nil {
		return nil, err
	}
	return r.relic(), nil
}

// Keep records one.
func (s *Store) Keep(ctx context.Context, tx *db.Tx, r *blockstorage.Relic) error {
	kind := kindVolume
	if r.Snapshot {
		kind = kindSnapshot
	}
	return rows.Insert(ctx, tx, &row{r.ID, kind, r.Host, r.SizeGiB, r.Epoch, r.VolumeID, r.CreatedAt})
}

// Drop forgets one.
func (s *Store) Drop(ctx context.Context, tx *db.Tx, id string) error {
	_, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "id", Values: []any{id}})
	return err
}

// on lists the relics of a kind on a host.
func (s *Store) on(ctx context.Context, host, kind string) ([]*blockstorage.Relic, error) {
	terms := []listing.Term{{Column: "host", Values: []any{host}}}
	if kind != "" {
		terms = append(terms, listing.Term{Column: "kind", Values: []any{kind}})
	}
	list, err := rows.List(ctx, s.db, listing.Query{Where: terms, Order: []listing.Order{{Column: "id"}}})
	out := make([]*blockstorage.Relic, 0, len(list))
	for _, r := range list {
		out = append(out, r.relic())
	}
	return out, err
}

// managed lists what a host has that is managed: references of volumes or
// snapshots with their sizes. It reads its siblings' tables: the listing shows
// both sides.
func (s *Store) managed(ctx context.Context, host, kind string) ([]thing, error) {
	query := "SELECT id, size, '' FROM blockstorage_volumes WHERE kept AND host = $1"
	if kind == kindSnapshot {
		query = "SELECT id, size, volume_id FROM blockstorage_snapshots WHERE kept AND host = $1"
	}
	found, err := s.db.QueryContext(ctx, query, host)
	if err != nil {
		return nil, db.Translate(err, "list what a host keeps")
	}
	defer found.Close()
	var out []thing
	for found.Next() {
		var t thing
		if err := found.Scan(&t.id, &t.size, &t.volume); err != nil {
			return nil, db.Translate(err, "list what a host keeps")
		}
		t.managed = true
		out = append(out, t)
	}
	return out, db.Translate(found.Err(), "list what a host keeps")
}

// thing is one line of a list of what can be managed.
type thing struct {
	id, volume string
	size       int64
	managed    bool
}
