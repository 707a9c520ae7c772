package grouptypes

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                      `db:"id"`
	Name        string                      `db:"name"`
	Description string                      `db:"description"`
	NoDescribed bool                        `db:"no_description"`
	Public      bool                        `db:"is_public"`
	Specs       db.JSON[map[string]*string] `db:"specs"`
	CreatedAt   int64                       `db:"created_at"`
}

var rows = db.NewTable[row]("blockstorage_group_types", "id", "Group type")

func toRow(t *blockstorage.GroupType) *row {
	return &row{t.ID, t.Name, t.Description, t.NoDescribed, t.Public, db.J(t.Specs), t.CreatedAt}
}

func (r *row) groupType() *blockstorage.GroupType {
	specs := r.Specs.V
	if specs == nil {
		specs = map[string]*string{}
	}
	return &blockstorage.GroupType{ID: r.ID, Name: r.Name, Description: r.Description, NoDescribed: r.NoDescribed, Public: r.Public, Specs: specs, CreatedAt: r.CreatedAt}
}

type store struct{ db *db.DB }

// List loads a page.
func (s store) List(ctx context.Context, q listing.Query) ([]*blockstorage.GroupType, error) {
	q, skip := blockstorage.Skip(q)
	list, err := rows.List(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	list = list[min(skip, len(list)):]
	out := make([]*blockstorage.GroupType, 0, len(list))
	for _, r := range list {
		out = append(out, r.groupType())
	}
	return out, nil
}

// Get loads one.
func (s store) Get(ctx context.Context, id string) (*blockstorage.GroupType, error) {
	return found(rows.Get(ctx, s.db, id))(id)
}

func (s store) byName(ctx context.Context, name string) (*blockstorage.GroupType, error) {
	return found(rows.One(ctx, s.db, listing.Term{Column: "name", Values: []any{name}}))(name)
}

func found(r *row, err error) func(word string) (*blockstorage.GroupType, error) {
	return func(word string) (*blockstorage.GroupType, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, notFound(word)
		}
		if err != nil {
			return nil, err
		}
		return r.groupType(), nil
	}
}

func notFound(id string) error {
	return fault.NotFoundf("Group type %s could not be found.", id).With("GroupTypeNotFound")
}

// inUse tells how many groups have a type. It reads a sibling's table: the
// check must be in the transaction that deletes.
func inUse(ctx context.Context, tx *db.Tx, typeID string) (n int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM blockstorage_groups WHERE type_id = $1", typeID).Scan(&n)
	return n, db.Translate(err, "count groups of a type")
}
