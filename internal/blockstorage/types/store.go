package types

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                            `db:"id"`
	Name        string                            `db:"name"`
	Description string                            `db:"description"`
	NoDescribed bool                              `db:"no_description"`
	Public      bool                              `db:"is_public"`
	ExtraSpecs  db.JSON[map[string]string]        `db:"extra_specs"`
	QosID       string                            `db:"qos_id"`
	Encryption  db.JSON[*blockstorage.Encryption] `db:"encryption"`
	CreatedAt   int64                             `db:"created_at"`
}

type accessRow struct {
	ID        string `db:"id"`
	TypeID    string `db:"type_id"`
	ProjectID string `db:"project_id"`
}

type defaultRow struct {
	ProjectID string `db:"project_id"`
	TypeID    string `db:"type_id"`
}

var (
	typeRows    = db.NewTable[row]("blockstorage_types", "id", "Volume type")
	accessRows  = db.NewTable[accessRow]("blockstorage_type_access", "id", "Volume type access")
	defaultRows = db.NewTable[defaultRow]("blockstorage_default_types", "project_id", "Default type for project")
)

type store struct{ db *db.DB }

func toRow(t *blockstorage.Type) *row {
	specs := t.ExtraSpecs
	if specs == nil {
		specs = map[string]string{}
	}
	return &row{t.ID, t.Name, t.Description, t.NoDescribed, t.Public, db.J(specs), t.QosID, db.J(t.Encryption), t.CreatedAt}
}

func (r *row) volumeType() *blockstorage.Type {
	specs := r.ExtraSpecs.V
	if specs == nil {
		specs = map[string]string{}
	}
	return &blockstorage.Type{ID: r.ID, Name: r.Name, Description: r.Description, NoDescribed: r.NoDescribed, Public: r.Public,
		ExtraSpecs: specs, QosID: r.QosID, Encryption: r.Encryption.V, CreatedAt: r.CreatedAt}
}

// usableBy is the pseudo column by which lists are confined to what a project may use.
const usableBy = "@usable_by"

// List loads a page of types.
func (s store) List(ctx context.Context, q listing.Query) ([]*blockstorage.Type, error) {
	var conds []db.Cond
	var where []listing.Term
	for _, t := range q.Where {
		if t.Column == usableBy {
			conds = append(conds, db.Cond{SQL: "is_public OR id IN (SELECT type_id FROM blockstorage_type_access WHERE project_id = ?)", Args: t.Values})
			continue
		}
		where = append(where, t)
	}
	q.Where = where
	rows, err := typeRows.List(ctx, s.db, q, conds...)
	out := make([]*blockstorage.Type, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.volumeType())
	}
	return out, err
}

// Get loads one type.
func (s store) Get(ctx context.Context, id string) (*blockstorage.Type, error) {
	return found(typeRows.Get(ctx, s.db, id))(id)
}

func (s store) byName(ctx context.Context, name string) (*blockstorage.Type, error) {
	return found(typeRows.One(ctx, s.db, listing.Term{Column: "name", Values: []any{name}}))(name)
}

func found(r *row, err error) func(word string) (*blockstorage.Type, error) {
	return func(word string) (*blockstorage.Type, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, blockstorage.TypeNotFound(word)
		}
		if err != nil {
			return nil, err
		}
		return r.volumeType(), nil
	}
}

// withSpecs lists the ids of the types that have all of some extra specs. Types
// are few and their specs JSON, which the engines search differently: all are read.
func (s store) withSpecs(ctx context.Context, asked map[string]string) ([]any, error) {
	rows, err := typeRows.Find(ctx, s.db)
	var out []any
	for _, r := range rows {
		if has(r.ExtraSpecs.V, asked) {
			out = append(out, r.ID)
		}
	}
	return out, err
}

// zonesSpec lists zones; types are found by any of them.
const zonesSpec = "RESKEY:availability_zones"

func has(specs, asked map[string]string) bool {
	for key, want := range asked {
		got, ok := specs[key]
		if !ok || got != want && (key != zonesSpec || !strings.Contains(got, want)) {
			return false
		}
	}
	return true
}

func (s store) mayUse(ctx context.Context, typeID, project string) (bool, error) {
	_, err := accessRows.Get(ctx, s.db, typeID+" "+project)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s store) projects(ctx context.Context, typeID string) ([]string, error) {
	rows, err := accessRows.Find(ctx, s.db, listing.Term{Column: "type_id", Values: []any{typeID}})
	var out []string
	for _, r := range rows {
		out = append(out, r.ProjectID)
	}
	return out, err
}

func (s store) defaultOf(ctx context.Context, project string) (string, error) {
	r, err := defaultRows.Get(ctx, s.db, project)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return r.TypeID, nil
}

// inUse tells how many volumes have a type. It reads a sibling's table: the
// check must be in the transaction that deletes.
func inUse(ctx context.Context, tx *db.Tx, typeID string) (n int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_volumes WHERE type_id = $1", typeID).Scan(&n)
	return n, db.Translate(err, "count volumes of a type")
}

// NamesIn maps ids of types to names, as a transaction sees them.
func NamesIn(ctx context.Context, q db.Querier) (map[string]string, error) {
	list, err := typeRows.Find(ctx, q)
	out := map[string]string{}
	for _, r := range list {
		out[r.ID] = r.Name
	}
	return out, err
}
