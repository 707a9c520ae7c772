package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type group = blockstorage.Group

type row struct {
	ID           string            `db:"id"`
	ProjectID    string            `db:"project_id"`
	UserID       string            `db:"user_id"`
	Name         string            `db:"name"`
	NoName       bool              `db:"no_name"`
	Description  string            `db:"description"`
	NoDescribed  bool              `db:"no_description"`
	TypeID       string            `db:"type_id"`
	VolumeTypes  db.JSON[[]string] `db:"volume_types"`
	Zone         string            `db:"zone"`
	Status       string            `db:"status"`
	FromGroup    string            `db:"from_group"`
	FromSnapshot string            `db:"from_snapshot"`
	Error        string            `db:"error"`
	CreatedAt    int64             `db:"created_at"`
	UpdatedAt    int64             `db:"updated_at"`
}

var rows = db.NewTable[row]("blockstorage_groups", "id", "Group")

func toRow(g *group) *row {
	return &row{g.ID, g.ProjectID, g.UserID, g.Name, g.NoName, g.Description, g.NoDescribed, g.TypeID, db.J(g.VolumeTypes), g.Zone, string(g.Status),
		g.FromGroup, g.FromSnapshot, g.Error, g.CreatedAt, g.UpdatedAt}
}

func (r *row) group() *group {
	return &group{ID: r.ID, ProjectID: r.ProjectID, UserID: r.UserID, Name: r.Name, NoName: r.NoName, Description: r.Description, NoDescribed: r.NoDescribed,
		TypeID: r.TypeID, VolumeTypes: r.VolumeTypes.V, Zone: r.Zone, Status: blockstorage.GroupStatus(r.Status), FromGroup: r.FromGroup,
		FromSnapshot: r.FromSnapshot, Error: r.Error, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// Store keeps groups. Safe for concurrent use.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

var _ blockstorage.Groups = (*Store)(nil)

// NewStore makes a store.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

func (s *Store) now() int64 { return clock.Micros(s.clock.Now()) }

// List loads a page.
func (s *Store) List(ctx context.Context, q listing.Query) ([]*group, error) {
	q, skip := blockstorage.Skip(q)
	list, err := rows.List(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	list = list[min(skip, len(list)):]
	out := make([]*group, 0, len(list))
	for _, r := range list {
		out = append(out, r.group())
	}
	return out, nil
}

// Get loads one.
func (s *Store) Get(ctx context.Context, id string) (*group, error) {
	return found(rows.Get(ctx, s.db, id))(id)
}

func found(r *row, err error) func(id string) (*group, error) {
	return func(id string) (*group, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, blockstorage.GroupNotFound(id)
		}
		if err != nil {
			return nil, err
		}
		return r.group(), nil
	}
}

// change loads a group in a transaction, lets f change it and writes it.
func (s *Store) change(ctx context.Context, tx *db.Tx, id string, f func(*group) error) (*group, error) {
	g, err := found(rows.GetForUpdate(ctx, tx, id))(id)
	if err != nil {
		return nil, err
	}
	if err := f(g); err != nil {
		return nil, err
	}
	g.UpdatedAt = s.now()
	return g, rows.Update(ctx, tx, toRow(g))
}

// Number counts a project's groups, for its quota.
func Number(ctx context.Context, q db.Querier, project string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_groups WHERE project_id = $1", project).Scan(&n)
	return n, db.Translate(err, "count groups")
}

type snapshot = blockstorage.GroupSnapshot

type snapshotRow struct {
	ID          string `db:"id"`
	ProjectID   string `db:"project_id"`
	UserID      string `db:"user_id"`
	GroupID     string `db:"group_id"`
	TypeID      string `db:"type_id"`
	Name        string `db:"name"`
	NoName      bool   `db:"no_name"`
	Description string `db:"description"`
	NoDescribed bool   `db:"no_description"`
	Status      string `db:"status"`
	Error       string `db:"error"`
	CreatedAt   int64  `db:"created_at"`
	UpdatedAt   int64  `db:"updated_at"`
}

var snapshotRows = db.NewTable[snapshotRow]("blockstorage_group_snapshots", "id", "GroupSnapshot")

func toSnapshotRow(s *snapshot) *snapshotRow {
	return &snapshotRow{s.ID, s.ProjectID, s.UserID, s.GroupID, s.TypeID, s.Name, s.NoName, s.Description, s.NoDescribed, string(s.Status), s.Error, s.CreatedAt, s.UpdatedAt}
}

func (r *snapshotRow) snapshot() *snapshot {
	return &snapshot{ID: r.ID, ProjectID: r.ProjectID, UserID: r.UserID, GroupID: r.GroupID, TypeID: r.TypeID, Name: r.Name, NoName: r.NoName,
		Description: r.Description, NoDescribed: r.NoDescribed, Status: blockstorage.GroupStatus(r.Status), Error: r.Error, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// snapshotStore reads group snapshots.
type snapshotStore struct{ *Store }

// List loads a page.
func (s snapshotStore) List(ctx context.Context, q listing.Query) ([]*snapshot, error) {
	q, skip := blockstorage.Skip(q)
	list, err := snapshotRows.List(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	list = list[min(skip, len(list)):]
	out := make([]*snapshot, 0, len(list))
	for _, r := range list {
		out = append(out, r.snapshot())
	}
	return out, nil
}

// Get loads one.
func (s snapshotStore) Get(ctx context.Context, id string) (*snapshot, error) {
	return foundSnapshot(snapshotRows.Get(ctx, s.db, id))(id)
}

func foundSnapshot(r *snapshotRow, err error) func(id string) (*snapshot, error) {
	return func(id string) (*snapshot, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, blockstorage.GroupSnapshotNotFound(id)
		}
		if err != nil {
			return nil, err
		}
		return r.snapshot(), nil
	}
}

// changeSnapshot loads a group snapshot in a transaction, lets f change it and writes it.
func (s *Store) changeSnapshot(ctx context.Context, tx *db.Tx, id string, f func(*snapshot) error) (*snapshot, error) {
	sn, err := foundSnapshot(snapshotRows.GetForUpdate(ctx, tx, id))(id)
	if err != nil {
		return nil, err
	}
	if err := f(sn); err != nil {
		return nil, err
	}
	sn.UpdatedAt = s.now()
	return sn, snapshotRows.Update(ctx, tx, toSnapshotRow(sn))
}

// snapshotsOf counts the snapshots of a group.
func snapshotsOf(ctx context.Context, tx *db.Tx, group string) (int64, error) {
	return snapshotRows.Count(ctx, tx, listing.Term{Column: "group_id", Values: []any{group}})
}

// madeFrom counts the groups that are being made from a group snapshot.
func madeFrom(ctx context.Context, tx *db.Tx, groupSnapshot string) (int64, error) {
	return rows.Count(ctx, tx, listing.Term{Column: "from_snapshot", Values: []any{groupSnapshot}},
		listing.Term{Column: "status", Values: []any{string(blockstorage.GroupCreating)}})
}
