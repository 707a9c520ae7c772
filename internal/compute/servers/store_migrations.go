package servers

import (
	"context"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// migration is a move with what only this package keeps of it.
type migration struct {
	compute.Migration
	Unsettled bool   // in flight, or not yet confirmed or reverted
	Before    *shape `json:",omitempty"` // what a revert goes back to
	// Kept is the guest, without its cards and volumes, that KeptHost holds
	// ready, stopped, until the move is confirmed.
	KeptHost string
	Kept     *guest.Spec      `json:",omitempty"`
	Abort    bool             `json:",omitempty"` // somebody wants it to be taken back
	Hurry    bool             `json:",omitempty"` // somebody wants it to end soon
	Copies   map[string]int64 `json:",omitempty"` // sizes of the disks' copies that the destination fetches
}

// shape is what a move changes of a server, at one of its ends.
type shape struct {
	Host    string             `json:"host"`
	Zone    string             `json:"zone"`
	Flavor  compute.Flavor     `json:"flavor"`
	Disks   []*Disk            `json:"disks"` // the guest's own
	Desired guest.Power        `json:"desired"`
	VM      compute.VMState    `json:"vm"`
	Power   compute.PowerState `json:"power"`
}

type migrationRow struct {
	ID         string             `db:"id"`
	Serial     int64              `db:"serial"`
	Server     string             `db:"server"`
	ProjectID  string             `db:"project_id"`
	UserID     string             `db:"user_id"`
	Kind       string             `db:"kind"`
	Status     string             `db:"status"`
	SourceHost string             `db:"source_host"`
	DestHost   string             `db:"dest_host"`
	KeptHost   string             `db:"kept_host"`
	Unsettled  bool               `db:"unsettled"`
	CreatedAt  int64              `db:"created_at"`
	UpdatedAt  int64              `db:"updated_at"`
	Data       db.JSON[migration] `db:"data"`
}

var migrationRows = db.NewTable[migrationRow]("compute_migrations", "id", "Migration")

func toMigrationRow(m *migration) *migrationRow {
	return &migrationRow{m.ID, m.Serial, m.Server, m.ProjectID, m.UserID, string(m.Kind), string(m.Status), m.SourceHost, m.DestHost, m.KeptHost,
		m.Unsettled, m.CreatedAt, m.UpdatedAt, db.J(*m)}
}

func migrationsOf(rows []*migrationRow, err error) ([]*migration, error) {
	out := make([]*migration, len(rows))
	for i, r := range rows {
		out[i] = &r.Data.V
	}
	return out, err
}

func insertMigration(ctx context.Context, tx *db.Tx, m *migration) (err error) {
	if m.Serial, err = db.NextSerial(ctx, tx, "compute.migration"); err != nil {
		return err
	}
	return migrationRows.Insert(ctx, tx, toMigrationRow(m))
}

func putMigration(ctx context.Context, tx *db.Tx, m *migration) error {
	return migrationRows.Update(ctx, tx, toMigrationRow(m))
}

// lockMigration loads a move that the transaction is going to change.
func lockMigration(ctx context.Context, tx *db.Tx, id string) (*migration, error) {
	r, err := migrationRows.GetForUpdate(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	return &r.Data.V, nil
}

func (s store) migrations(ctx context.Context, q listing.Query) ([]*migration, error) {
	return migrationsOf(migrationRows.List(ctx, s.db, q))
}

// unsettledOf loads the move of a server that is under way or waits to be
// confirmed; nil when there is none.
func unsettledOf(ctx context.Context, q db.Querier, server string) (*migration, error) {
	r, err := migrationRows.One(ctx, q, eq("server", server), eq("unsettled", true))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r.Data.V, nil
}

// keptOn loads the guests that a host keeps for moves to be taken back.
func keptOn(ctx context.Context, q db.Querier, host string, which ...listing.Term) ([]guest.Spec, error) {
	all, err := migrationsOf(migrationRows.Find(ctx, q, append(which, eq("kept_host", host))...))
	var out []guest.Spec
	for _, m := range all {
		if m.Kept != nil {
			out = append(out, *m.Kept)
		}
	}
	return out, err
}

// heldBy are the flavors that unsettled moves hold on hosts that servers leave.
func heldBy(ctx context.Context, q db.Querier) (map[string]Use, error) {
	all, err := migrationsOf(migrationRows.Find(ctx, q, eq("unsettled", true)))
	out := map[string]Use{}
	for _, m := range all {
		if m.Before == nil {
			continue
		}
		u, f := out[m.SourceHost], m.OldFlavor
		u.CPUs, u.MemoryMiB, u.DiskGiB = u.CPUs+f.VCPUs, u.MemoryMiB+f.MemoryMiB, u.DiskGiB+f.RootGiB+f.EphemGiB
		out[m.SourceHost] = u
	}
	return out, err
}
