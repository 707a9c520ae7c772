package backups

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                            `db:"id"`
	ProjectID   string                            `db:"project_id"`
	UserID      string                            `db:"user_id"`
	Name        string                            `db:"name"`
	NoName      bool                              `db:"no_name"`
	Description string                            `db:"description"`
	NoDescribed bool                              `db:"no_description"`
	VolumeID    string                            `db:"volume_id"`
	SnapshotID  string                            `db:"snapshot_id"`
	ParentID    string                            `db:"parent_id"`
	Size        int64                             `db:"size"`
	Status      string                            `db:"status"`
	Container   string                            `db:"container"`
	Location    string                            `db:"location"`
	Service     string                            `db:"service"`
	Objects     int64                             `db:"object_count"`
	Zone        string                            `db:"zone"`
	Host        string                            `db:"host"`
	Guest       string                            `db:"guest"`
	Kept        bool                              `db:"kept"`
	Copied      bool                              `db:"copied"`
	Metadata    db.JSON[map[string]string]        `db:"metadata"`
	Volume      db.JSON[blockstorage.VolumeFacts] `db:"volume_facts"`
	Restoring   string                            `db:"restoring"`
	Error       string                            `db:"error"`
	DataAt      int64                             `db:"data_at"`
	CreatedAt   int64                             `db:"created_at"`
	UpdatedAt   int64                             `db:"updated_at"`
}

var rows = db.NewTable[row]("blockstorage_backups", "id", "Backup")

func filled(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func toRow(b *blockstorage.Backup) *row {
	return &row{ID: b.ID, ProjectID: b.ProjectID, UserID: b.UserID, Name: b.Name, NoName: b.NoName, Description: b.Description, NoDescribed: b.NoDescribed,
		VolumeID: b.VolumeID, SnapshotID: b.SnapshotID, ParentID: b.ParentID, Size: b.SizeGiB, Status: string(b.Status), Container: b.Container,
		Location: b.Location, Service: b.Service, Objects: b.Objects, Zone: b.Zone, Host: b.Host, Guest: b.Guest, Kept: b.Kept, Copied: b.Copied,
		Metadata: db.J(filled(b.Metadata)), Volume: db.J(b.Volume), Restoring: b.Restoring, Error: b.Error, DataAt: b.DataAt, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}
}

func (r *row) backup() *blockstorage.Backup {
	return &blockstorage.Backup{ID: r.ID, ProjectID: r.ProjectID, UserID: r.UserID, Name: r.Name, NoName: r.NoName, Description: r.Description,
		NoDescribed: r.NoDescribed, VolumeID: r.VolumeID, SnapshotID: r.SnapshotID, ParentID: r.ParentID, SizeGiB: r.Size,
		Status: blockstorage.BackupStatus(r.Status), Container: r.Container, Location: r.Location, Service: r.Service, Objects: r.Objects, Zone: r.Zone,
		Host: r.Host, Guest: r.Guest, Kept: r.Kept, Copied: r.Copied, Metadata: filled(r.Metadata.V), Volume: r.Volume.V, Restoring: r.Restoring,
		Error: r.Error, DataAt: r.DataAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// Store keeps the records of backups. Safe for concurrent use.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

var _ blockstorage.Backups = (*Store)(nil)

// NewStore makes a store.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

func (s *Store) now() int64 { return clock.Micros(s.clock.Now()) }

// List loads a page.
func (s *Store) List(ctx context.Context, q listing.Query) ([]*blockstorage.Backup, error) {
	q, skip := blockstorage.Skip(q)
	list, err := rows.List(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	list = list[min(skip, len(list)):]
	out := make([]*blockstorage.Backup, 0, len(list))
	for _, r := range list {
		out = append(out, r.backup())
	}
	return out, s.count(ctx, out...)
}

// Count tells how many backups meet the conditions of q.
func (s *Store) Count(ctx context.Context, q listing.Query) (int64, error) {
	return rows.Count(ctx, s.db, q.Where...)
}

// count fills in how many backups depend on each.
func (s *Store) count(ctx context.Context, list ...*blockstorage.Backup) error {
	if len(list) == 0 {
		return nil
	}
	by := map[string]*blockstorage.Backup{}
	ids := make([]any, 0, len(list))
	for _, b := range list {
		by[b.ID] = b
		ids = append(ids, b.ID)
	}
	children, err := rows.Find(ctx, s.db, listing.Term{Column: "parent_id", Op: listing.In, Values: ids})
	for _, c := range children {
		by[c.ParentID].Dependents++
	}
	return err
}

// Get loads one.
func (s *Store) Get(ctx context.Context, id string) (*blockstorage.Backup, error) {
	b, err := found(rows.Get(ctx, s.db, id))(id)
	if err != nil {
		return nil, err
	}
	return b, s.count(ctx, b)
}

func found(r *row, err error) func(id string) (*blockstorage.Backup, error) {
	return func(id string) (*blockstorage.Backup, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, blockstorage.BackupNotFound(id)
		}
		if err != nil {
			return nil, err
		}
		return r.backup(), nil
	}
}

// change loads a backup in a transaction, lets f change it and writes it.
func (s *Store) change(ctx context.Context, tx *db.Tx, id string, f func(*blockstorage.Backup) error) (*blockstorage.Backup, error) {
	b, err := found(rows.GetForUpdate(ctx, tx, id))(id)
	if err != nil {
		return nil, err
	}
	if err := f(b); err != nil {
		return nil, err
	}
	b.UpdatedAt = s.now()
	return b, rows.Update(ctx, tx, toRow(b))
}

// BeginRestore marks that a volume is made from a backup.
func (s *Store) BeginRestore(ctx context.Context, tx *db.Tx, backup, volume string) error {
	_, err := s.change(ctx, tx, backup, func(b *blockstorage.Backup) error {
		if b.Status != blockstorage.BackupAvailable {
			return blockstorage.InvalidBackup("Backup status must be available")
		}
		b.Status, b.Restoring = blockstorage.BackupRestoring, volume
		return nil
	})
	return err
}

// EndRestore says that this is over.
func (s *Store) EndRestore(ctx context.Context, tx *db.Tx, backup, volume string) error {
	_, err := s.change(ctx, tx, backup, func(b *blockstorage.Backup) error {
		if b.Restoring == volume {
			b.Restoring = ""
			if b.Status == blockstorage.BackupRestoring {
				b.Status = blockstorage.BackupAvailable
			}
		}
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// latest is the backup of a volume that an incremental one builds on: the one
// whose content is the newest before a time; 0: of all.
func (s *Store) latest(ctx context.Context, volume, project string, before int64) (*blockstorage.Backup, error) {
	where := []listing.Term{{Column: "volume_id", Values: []any{volume}}, {Column: "project_id", Values: []any{project}},
		{Column: "status", Values: []any{string(blockstorage.BackupAvailable)}}}
	if before > 0 {
		where = append(where, listing.Term{Column: "data_at", Op: listing.Less, Values: []any{before}})
	}
	list, err := rows.List(ctx, s.db, listing.Query{Where: where, Limit: 1, Order: []listing.Order{{Column: "data_at", Desc: true}}})
	if err == nil && len(list) == 0 {
		err = blockstorage.InvalidBackup("No backups available to do an incremental backup.")
	}
	if err != nil {
		return nil, err
	}
	return list[0].backup(), nil
}

// children counts the backups that build on one.
func children(ctx context.Context, tx *db.Tx, id string) (int64, error) {
	return rows.Count(ctx, tx, listing.Term{Column: "parent_id", Values: []any{id}})
}

// shared counts the records that share the pieces of a backup.
func (s *Store) shared(ctx context.Context, b *blockstorage.Backup) (int64, error) {
	return rows.Count(ctx, s.db, listing.Term{Column: "container", Values: []any{b.Container}}, listing.Term{Column: "location", Values: []any{b.Location}})
}

// onHost lists the backups whose passing copies a host shall have.
func (s *Store) onHost(ctx context.Context, host string) ([]*row, error) {
	return rows.List(ctx, s.db, listing.Query{Where: []listing.Term{{Column: "host", Values: []any{host}}, {Column: "kept", Values: []any{true}}},
		Order: []listing.Order{{Column: "id"}}})
}

// Number counts a project's backups, for its quota.
func Number(ctx context.Context, q db.Querier, project string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_backups WHERE project_id = $1", project).Scan(&n)
	return n, db.Translate(err, "count backups")
}

// GiB sums the sizes of a project's backups, for its quota.
func GiB(ctx context.Context, q db.Querier, project string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COALESCE(SUM(size), 0) FROM blockstorage_backups WHERE project_id = $1", project).Scan(&n)
	return n, db.Translate(err, "sum backups")
}
