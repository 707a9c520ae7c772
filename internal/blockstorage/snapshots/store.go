package snapshots

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                     `db:"id"`
	ProjectID   string                     `db:"project_id"`
	UserID      string                     `db:"user_id"`
	VolumeID    string                     `db:"volume_id"`
	Name        string                     `db:"name"`
	NoName      bool                       `db:"no_name"`
	Description string                     `db:"description"`
	NoDescribed bool                       `db:"no_description"`
	Size        int64                      `db:"size"`
	Status      string                     `db:"status"`
	Progress    string                     `db:"progress"`
	TypeID      string                     `db:"type_id"`
	Host        string                     `db:"host"`
	Kept        bool                       `db:"kept"`
	Guest       string                     `db:"guest"`
	Bootable    bool                       `db:"bootable"`
	Metadata    db.JSON[map[string]string] `db:"metadata"`
	ImageMeta   db.JSON[map[string]string] `db:"image_meta"`
	GroupID     string                     `db:"group_snapshot_id"`
	Relic       string                     `db:"relic_id"`
	Error       string                     `db:"error"`
	CreatedAt   int64                      `db:"created_at"`
	UpdatedAt   int64                      `db:"updated_at"`
}

var rows = db.NewTable[row]("blockstorage_snapshots", "id", "Snapshot")

func filled(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func toRow(s *blockstorage.Snapshot) *row {
	return &row{ID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, VolumeID: s.VolumeID, Name: s.Name, NoName: s.NoName, Description: s.Description,
		NoDescribed: s.NoDescribed, Size: s.SizeGiB, Status: string(s.Status), Progress: s.Progress, TypeID: s.TypeID, Host: s.Host, Kept: s.Kept,
		Guest: s.Guest, Bootable: s.Bootable, Metadata: db.J(filled(s.Metadata)), ImageMeta: db.J(filled(s.ImageMeta)), GroupID: s.GroupID, Relic: s.Relic, Error: s.Error,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
}

func (r *row) snapshot() *blockstorage.Snapshot {
	return &blockstorage.Snapshot{ID: r.ID, ProjectID: r.ProjectID, UserID: r.UserID, VolumeID: r.VolumeID, Name: r.Name, NoName: r.NoName,
		Description: r.Description, NoDescribed: r.NoDescribed, SizeGiB: r.Size, Status: blockstorage.SnapshotStatus(r.Status), Progress: r.Progress,
		TypeID: r.TypeID, Host: r.Host, Kept: r.Kept, Guest: r.Guest, Bootable: r.Bootable, Metadata: filled(r.Metadata.V),
		ImageMeta: filled(r.ImageMeta.V), GroupID: r.GroupID, Relic: r.Relic, Error: r.Error, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// labelled is the pseudo column by which lists ask for metadata: name, value.
const labelled = "@labelled"

// Store keeps snapshots. Safe for concurrent use.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

var _ blockstorage.Snapshots = (*Store)(nil)

// NewStore makes a store.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

func (s *Store) now() int64 { return clock.Micros(s.clock.Now()) }

// Latest is the newest snapshot of a volume.
func (s *Store) Latest(ctx context.Context, volume string) (*blockstorage.Snapshot, error) {
	list, err := rows.List(ctx, s.db, listing.Query{Where: []listing.Term{ofVolume(volume)}, Limit: 1,
		Order: []listing.Order{{Column: "created_at", Desc: true}}})
	if err == nil && len(list) == 0 {
		err = fault.NotFoundf("Volume %s has no snapshots.", volume)
	}
	if err != nil {
		return nil, err
	}
	return list[0].snapshot(), nil
}

// Alter loads a snapshot in a transaction, lets f change it and writes it.
func (s *Store) Alter(ctx context.Context, tx *db.Tx, id string, f func(*blockstorage.Snapshot) error) error {
	_, err := s.change(ctx, tx, id, s.now(), f)
	return err
}

// List loads a page.
func (s *Store) List(ctx context.Context, q listing.Query) ([]*blockstorage.Snapshot, error) {
	q, skip := blockstorage.Skip(q)
	q, conds := conditions(q)
	list, err := rows.List(ctx, s.db, q, conds...)
	list = list[min(skip, len(list)):]
	out := make([]*blockstorage.Snapshot, 0, len(list))
	for _, r := range list {
		out = append(out, r.snapshot())
	}
	return out, err
}

// Count tells how many snapshots meet the conditions of q.
func (s *Store) Count(ctx context.Context, q listing.Query) (int64, error) {
	q, conds := conditions(q)
	return rows.CountWhere(ctx, s.db, q.Where, conds...)
}

// conditions takes out what is not a column of snapshots.
func conditions(q listing.Query) (listing.Query, []db.Cond) {
	var conds []db.Cond
	var where []listing.Term
	for _, t := range q.Where {
		if t.Column == labelled {
			conds = append(conds, db.Cond{SQL: "id IN (SELECT object_id FROM blockstorage_labels WHERE kind = 'metadata' AND name = ? AND value = ?)", Args: t.Values})
			continue
		}
		where = append(where, t)
	}
	q.Where = where
	return q, conds
}

// Get loads one snapshot.
func (s *Store) Get(ctx context.Context, id string) (*blockstorage.Snapshot, error) {
	return found(rows.Get(ctx, s.db, id))(id)
}

func found(r *row, err error) func(id string) (*blockstorage.Snapshot, error) {
	return func(id string) (*blockstorage.Snapshot, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, blockstorage.SnapshotNotFound(id)
		}
		if err != nil {
			return nil, err
		}
		return r.snapshot(), nil
	}
}

func ofVolume(volume string) listing.Term {
	return listing.Term{Column: "volume_id", Values: []any{volume}}
}

// CountOf tells how many snapshots a volume has.
func (s *Store) CountOf(ctx context.Context, tx *db.Tx, volume string) (int64, error) {
	return rows.Count(ctx, tx, ofVolume(volume))
}

// DropAll marks all snapshots of a volume as being deleted.
func (s *Store) DropAll(ctx context.Context, tx *db.Tx, volume string) error {
	_, err := tx.ExecContext(ctx, "UPDATE blockstorage_snapshots SET kept = $1, status = $2 WHERE volume_id = $3", false, string(blockstorage.SnapshotDeleting), volume)
	return db.Translate(err, "drop snapshots")
}

// EraseAll removes the rows of all snapshots of a volume.
func (s *Store) EraseAll(ctx context.Context, tx *db.Tx, volume string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM blockstorage_labels WHERE object_id IN (SELECT id FROM blockstorage_snapshots WHERE volume_id = $1)", volume)
	if err != nil {
		return db.Translate(err, "erase labels of snapshots")
	}
	_, err = rows.DeleteWhere(ctx, tx, ofVolume(volume))
	return err
}

func (s *Store) insert(ctx context.Context, tx *db.Tx, sn *blockstorage.Snapshot) error {
	if err := rows.Insert(ctx, tx, toRow(sn)); err != nil {
		return err
	}
	return label(ctx, tx, sn)
}

// change loads a snapshot in a transaction, lets f change it and writes it.
func (s *Store) change(ctx context.Context, tx *db.Tx, id string, now int64, f func(*blockstorage.Snapshot) error) (*blockstorage.Snapshot, error) {
	sn, err := found(rows.GetForUpdate(ctx, tx, id))(id)
	if err != nil {
		return nil, err
	}
	before := maps.Clone(sn.Metadata)
	if err := f(sn); err != nil {
		return nil, err
	}
	sn.UpdatedAt = now
	if err := rows.Update(ctx, tx, toRow(sn)); err != nil || maps.Equal(before, sn.Metadata) {
		return sn, err
	}
	return sn, label(ctx, tx, sn)
}

func (s *Store) erase(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM blockstorage_labels WHERE object_id = $1", id); err != nil {
		return db.Translate(err, "erase labels")
	}
	_, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "id", Values: []any{id}})
	return err
}

// label writes the metadata again, for filters.
func label(ctx context.Context, tx *db.Tx, sn *blockstorage.Snapshot) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM blockstorage_labels WHERE object_id = $1", sn.ID); err != nil {
		return db.Translate(err, "erase labels")
	}
	for _, name := range slices.Sorted(maps.Keys(sn.Metadata)) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO blockstorage_labels (object_id, kind, name, value) VALUES ($1, 'metadata', $2, $3)", sn.ID, name, sn.Metadata[name]); err != nil {
			return db.Translate(err, "label snapshot")
		}
	}
	return nil
}

// onHost lists the snapshots that a host shall have.
func (s *Store) onHost(ctx context.Context, host string) ([]*blockstorage.Snapshot, error) {
	return s.List(ctx, listing.Query{Where: []listing.Term{{Column: "host", Values: []any{host}}, {Column: "kept", Values: []any{true}}},
		Order: []listing.Order{{Column: "id"}}})
}

// Number counts a project's snapshots, for its quota.
func Number(ctx context.Context, q db.Querier, project string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_snapshots WHERE project_id = $1", project).Scan(&n)
	return n, db.Translate(err, "count snapshots")
}

// GiB sums the sizes of a project's snapshots, for its quota.
func GiB(ctx context.Context, q db.Querier, project string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COALESCE(SUM(size), 0) FROM blockstorage_snapshots WHERE project_id = $1", project).Scan(&n)
	return n, db.Translate(err, "sum snapshots")
}

// NumberOfType counts a project's snapshots of volumes of a type, for its quota.
func NumberOfType(ctx context.Context, q db.Querier, project, typeID string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_snapshots WHERE project_id = $1 AND type_id = $2", project, typeID).Scan(&n)
	return n, db.Translate(err, "count snapshots of a type")
}

// GiBOfType sums the sizes of a project's snapshots of volumes of a type, for its quota.
func GiBOfType(ctx context.Context, q db.Querier, project, typeID string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COALESCE(SUM(size), 0) FROM blockstorage_snapshots WHERE project_id = $1 AND type_id = $2", project, typeID).Scan(&n)
	return n, db.Translate(err, "sum snapshots of a type")
}

// dependents counts volumes that are still being made from a snapshot. It
// reads a sibling's table: the saga that deletes must see all of them.
func dependents(ctx context.Context, q db.Querier, id string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_volumes WHERE snapshot_id = $1 AND status IN ('creating', 'downloading')", id).Scan(&n)
	return n, db.Translate(err, "count volumes of a snapshot")
}

// OfGroup lists the snapshots of a group snapshot.
func (s *Store) OfGroup(ctx context.Context, q db.Querier, groupSnapshot string) ([]*blockstorage.Snapshot, error) {
	list, err := rows.Find(ctx, q, listing.Term{Column: "group_snapshot_id", Values: []any{groupSnapshot}})
	out := make([]*blockstorage.Snapshot, 0, len(list))
	for _, r := range list {
		out = append(out, r.snapshot())
	}
	return out, err
}
