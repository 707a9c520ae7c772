package volumes

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/quota"
)

type row struct {
	ID          string                       `db:"id"`
	ProjectID   string                       `db:"project_id"`
	UserID      string                       `db:"user_id"`
	Name        string                       `db:"name"`
	NoName      bool                         `db:"no_name"`
	Description string                       `db:"description"`
	NoDescribed bool                         `db:"no_description"`
	Size        int64                        `db:"size"`
	Status      string                       `db:"status"`
	Before      string                       `db:"before"`
	TypeID      string                       `db:"type_id"`
	Zone        string                       `db:"zone"`
	Host        string                       `db:"host"`
	Kept        bool                         `db:"kept"`
	MoveTo      string                       `db:"move_to"`
	Bootable    bool                         `db:"bootable"`
	Multiattach bool                         `db:"multiattach"`
	ReadOnly    string                       `db:"read_only"`
	Transient   bool                         `db:"transient"`
	Metadata    db.JSON[map[string]string]   `db:"metadata"`
	ImageMeta   db.JSON[map[string]string]   `db:"image_meta"`
	SnapshotID  string                       `db:"snapshot_id"`
	SourceID    string                       `db:"source_volid"`
	ImageID     string                       `db:"image_id"`
	ImageFormat string                       `db:"image_format"`
	BackupID    string                       `db:"backup_id"`
	RelicID     string                       `db:"relic_id"`
	GroupID     string                       `db:"group_id"`
	Epoch       int64                        `db:"epoch"`
	Rewrite     db.JSON[blockstorage.Source] `db:"rewrite"`
	Migration   string                       `db:"migration"`
	Error       string                       `db:"error"`
	CreatedAt   int64                        `db:"created_at"`
	UpdatedAt   int64                        `db:"updated_at"`
}

type labelRow struct {
	Object string `db:"object_id"`
	Kind   string `db:"kind"`
	Name   string `db:"name"`
	Value  string `db:"value"`
}

var (
	volumeRows = db.NewTable[row]("blockstorage_volumes", "id", "Volume")
	labelRows  = db.NewTable[labelRow]("blockstorage_labels", "object_id", "Label")
)

func toRow(v *blockstorage.Volume) *row {
	return &row{ID: v.ID, ProjectID: v.ProjectID, UserID: v.UserID, Name: v.Name, NoName: v.NoName, Description: v.Description, NoDescribed: v.NoDescribed,
		Size: v.SizeGiB, Status: string(v.Status), Before: string(v.Before), TypeID: v.TypeID, Zone: v.Zone, Host: v.Host, Kept: v.Kept, MoveTo: v.MoveTo,
		Bootable: v.Bootable, Multiattach: v.Multiattach, ReadOnly: v.ReadOnly, Transient: v.Transient, Metadata: db.J(filled(v.Metadata)),
		ImageMeta: db.J(filled(v.ImageMeta)), SnapshotID: v.Source.SnapshotID, SourceID: v.Source.VolumeID, ImageID: v.Source.ImageID,
		ImageFormat: v.Source.ImageFormat, BackupID: v.Source.BackupID, RelicID: v.Source.RelicID, GroupID: v.GroupID, Epoch: v.Epoch,
		Rewrite: db.J(v.Rewrite), Migration: v.Migration, Error: v.Error, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt}
}

func filled(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (r *row) volume() *blockstorage.Volume {
	return &blockstorage.Volume{ID: r.ID, ProjectID: r.ProjectID, UserID: r.UserID, Name: r.Name, NoName: r.NoName, Description: r.Description,
		NoDescribed: r.NoDescribed, SizeGiB: r.Size, Status: blockstorage.VolumeStatus(r.Status), Before: blockstorage.VolumeStatus(r.Before), TypeID: r.TypeID,
		Zone: r.Zone, Host: r.Host, Kept: r.Kept, MoveTo: r.MoveTo, Bootable: r.Bootable, Multiattach: r.Multiattach, ReadOnly: r.ReadOnly,
		Transient: r.Transient, Metadata: filled(r.Metadata.V), ImageMeta: filled(r.ImageMeta.V),
		Source: blockstorage.Source{SnapshotID: r.SnapshotID, VolumeID: r.SourceID, ImageID: r.ImageID, ImageFormat: r.ImageFormat,
			BackupID: r.BackupID, RelicID: r.RelicID},
		GroupID: r.GroupID, Epoch: r.Epoch, Rewrite: r.Rewrite.V, Migration: r.Migration, Error: r.Error, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// labelled is the pseudo column by which lists ask for metadata: kind, name, value.
const labelled = "@labelled"

// store reads and writes volumes with what belongs to them.
type store struct {
	db          *db.DB
	attachments blockstorage.Attachments
	types       blockstorage.Types
}

func conditions(q listing.Query) (listing.Query, []db.Cond) {
	var conds []db.Cond
	var where []listing.Term
	for _, t := range q.Where {
		if t.Column == labelled {
			conds = append(conds, db.Cond{SQL: "id IN (SELECT object_id FROM blockstorage_labels WHERE kind = ? AND name = ? AND value = ?)", Args: t.Values})
			continue
		}
		where = append(where, t)
	}
	q.Where = where
	return q, conds
}

// List loads a page of volumes with attachments and type names.
func (s store) List(ctx context.Context, q listing.Query) ([]*blockstorage.Volume, error) {
	q, skip := blockstorage.Skip(q)
	q, conds := conditions(q)
	rows, err := volumeRows.List(ctx, s.db, q, conds...)
	if err != nil {
		return nil, err
	}
	rows = rows[min(skip, len(rows)):]
	out := make([]*blockstorage.Volume, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.volume())
	}
	return out, s.complete(ctx, out...)
}

// Count tells how many volumes meet the conditions of q.
func (s store) Count(ctx context.Context, q listing.Query) (int64, error) {
	q, conds := conditions(q)
	return volumeRows.CountWhere(ctx, s.db, q.Where, conds...)
}

// complete adds attachments and type names.
func (s store) complete(ctx context.Context, list ...*blockstorage.Volume) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]string, 0, len(list))
	for _, v := range list {
		ids = append(ids, v.ID)
	}
	attached, err := s.attachments.Of(ctx, ids...)
	if err != nil {
		return err
	}
	names, err := s.types.Names(ctx, nil)
	if err != nil {
		return err
	}
	for _, v := range list {
		v.Attachments, v.TypeName = attached[v.ID], names[v.TypeID]
	}
	return nil
}

// Get loads one volume.
func (s store) Get(ctx context.Context, id string) (*blockstorage.Volume, error) {
	r, err := volumeRows.Get(ctx, s.db, id)
	if fault.Is(err, fault.NotFound) {
		return nil, blockstorage.VolumeNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	v := r.volume()
	return v, s.complete(ctx, v)
}

// lock loads one volume in a transaction, with attachments, and keeps others from it.
func (s store) lock(ctx context.Context, tx *db.Tx, id string) (*blockstorage.Volume, error) {
	r, err := volumeRows.GetForUpdate(ctx, tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, blockstorage.VolumeNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	v := r.volume()
	if v.Attachments, err = s.attachments.InTx(ctx, tx, id); err != nil {
		return nil, err
	}
	names, err := s.types.Names(ctx, tx) // as this transaction sees them: quotas are kept by them
	v.TypeName = names[v.TypeID]
	return v, err
}

func (s store) insert(ctx context.Context, tx *db.Tx, v *blockstorage.Volume) error {
	if err := volumeRows.Insert(ctx, tx, toRow(v)); err != nil {
		return err
	}
	return addLabels(ctx, tx, v)
}

func (s store) update(ctx context.Context, tx *db.Tx, before, v *blockstorage.Volume) error {
	if err := volumeRows.Update(ctx, tx, toRow(v), unmoved(before, v)...); err != nil {
		return err
	}
	if maps.Equal(before.Metadata, v.Metadata) && maps.Equal(before.ImageMeta, v.ImageMeta) {
		return nil
	}
	return label(ctx, tx, v)
}

// unmoved are the columns that have not changed of those that cost an index each.
func unmoved(before, now *blockstorage.Volume) []string {
	out := []string{"created_at"}
	for column, same := range map[string]bool{"project_id": before.ProjectID == now.ProjectID, "host": before.Host == now.Host, "kept": before.Kept == now.Kept,
		"size": before.SizeGiB == now.SizeGiB, "move_to": before.MoveTo == now.MoveTo, "group_id": before.GroupID == now.GroupID,
		"snapshot_id": before.Source.SnapshotID == now.Source.SnapshotID, "source_volid": before.Source.VolumeID == now.Source.VolumeID} {
		if same {
			out = append(out, column)
		}
	}
	return out
}

func (s store) erase(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := labelRows.DeleteWhere(ctx, tx, listing.Term{Column: "object_id", Values: []any{id}}); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM blockstorage_transfers WHERE volume_id = $1", id); err != nil {
		return db.Translate(err, "erase transfer")
	}
	_, err := volumeRows.DeleteWhere(ctx, tx, listing.Term{Column: "id", Values: []any{id}})
	return err
}

// label writes the metadata again, for filters.
func label(ctx context.Context, tx *db.Tx, v *blockstorage.Volume) error {
	if _, err := labelRows.DeleteWhere(ctx, tx, listing.Term{Column: "object_id", Values: []any{v.ID}}); err != nil {
		return err
	}
	return addLabels(ctx, tx, v)
}

func addLabels(ctx context.Context, tx *db.Tx, v *blockstorage.Volume) error {
	for kind, meta := range map[string]map[string]string{"metadata": v.Metadata, "image": v.ImageMeta} {
		for _, name := range slices.Sorted(maps.Keys(meta)) {
			if err := labelRows.Insert(ctx, tx, &labelRow{v.ID, kind, name, meta[name]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// onHost lists the volumes that a host shall have, coming ones included; without
// their attachments.
func (s store) onHost(ctx context.Context, host string) ([]*blockstorage.Volume, error) {
	rows, err := volumeRows.List(ctx, s.db, listing.Query{Order: []listing.Order{{Column: "id"}}},
		db.Cond{SQL: "kept AND (host = ? OR move_to = ?)", Args: []any{host, host}})
	if err != nil {
		return nil, err
	}
	out := make([]*blockstorage.Volume, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.volume())
	}
	return out, nil
}

// withError lists the volumes of a host that have a text as their error.
func (s store) withError(ctx context.Context, host, text string) ([]string, error) {
	rows, err := volumeRows.Find(ctx, s.db, listing.Term{Column: "host", Op: listing.Eq, Values: []any{host}}, listing.Term{Column: "error", Op: listing.Eq, Values: []any{text}})
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids, err
}

// Number counts a project's volumes, for its quota.
func Number(ctx context.Context, q db.Querier, project string) (int64, error) {
	of, err := projectUse(ctx, q, project)
	return of.number, err
}

type (
	use    struct{ number, gib int64 }
	useKey struct{ project string }
)

// projectUse counts a project's volumes once for all that is limited of them.
func projectUse(ctx context.Context, q db.Querier, project string) (use, error) {
	return quota.Once(ctx, useKey{project}, func() (u use, err error) {
		err = q.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blockstorage_volumes WHERE project_id = $1 AND NOT transient", project).Scan(&u.number, &u.gib)
		return u, db.Translate(err, "count volumes")
	})
}

// GiB sums the sizes of a project's volumes, for its quota.
func GiB(ctx context.Context, q db.Querier, project string) (int64, error) {
	of, err := projectUse(ctx, q, project)
	return of.gib, err
}

// NumberOfType counts a project's volumes of a type, for its quota.
func NumberOfType(ctx context.Context, q db.Querier, project, typeID string) (int64, error) {
	return sum(ctx, q, "SELECT COUNT(*) FROM blockstorage_volumes WHERE project_id = $1 AND type_id = $2 AND NOT transient", project, typeID)
}

// GiBOfType sums the sizes of a project's volumes of a type, for its quota.
func GiBOfType(ctx context.Context, q db.Querier, project, typeID string) (int64, error) {
	return sum(ctx, q, "SELECT COALESCE(SUM(size), 0) FROM blockstorage_volumes WHERE project_id = $1 AND type_id = $2 AND NOT transient", project, typeID)
}

func sum(ctx context.Context, q db.Querier, query string, args ...any) (n int64, err error) {
	err = q.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, db.Translate(err, "count volumes")
}

// usage is what hosts keep, in GiB, volumes and snapshots.
func usage(ctx context.Context, q db.Querier) (map[string]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT host, SUM(size) FROM (SELECT host, size FROM blockstorage_volumes WHERE kept
		UNION ALL SELECT move_to, size FROM blockstorage_volumes WHERE kept AND move_to <> ''
		UNION ALL SELECT host, size FROM blockstorage_snapshots WHERE kept) AS all_kept GROUP BY host`)
	if err != nil {
		return nil, db.Translate(err, "sum what hosts keep")
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var host string
		var n int64
		if err := rows.Scan(&host, &n); err != nil {
			return nil, db.Translate(err, "sum what hosts keep")
		}
		out[host] = n
	}
	return out, db.Translate(rows.Err(), "sum what hosts keep")
}

// madeFrom reads two indexes, the second by its own words.
const madeFrom = `SELECT COUNT(*) FROM blockstorage_volumes WHERE (source_volid = $1 OR snapshot_id = $1 AND snapshot_id <> '') AND status IN ('creating', 'downloading')`

// dependents counts volumes that are still being made from a volume or snapshot.
func dependents(ctx context.Context, q db.Querier, id string) (int64, error) {
	var n int64
	err := q.QueryRowContext(ctx, madeFrom, id).Scan(&n)
	return n, db.Translate(err, "count clones")
}

func keptBy(ctx context.Context, q db.Querier, host string) (k Kept, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blockstorage_volumes WHERE kept AND host = $1", host).Scan(&k.Volumes, &k.VolumeGiB)
	if err == nil {
		err = q.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blockstorage_snapshots WHERE kept AND host = $1", host).Scan(&k.Snapshots, &k.SnapshotGiB)
	}
	return k, db.Translate(err, "count what a host keeps")
}
