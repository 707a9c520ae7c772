package qos

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// spec is one set of QoS specs.
type spec struct {
	ID        string                     `db:"id"`
	Name      string                     `db:"name"`
	Consumer  string                     `db:"consumer"`
	Specs     db.JSON[map[string]string] `db:"specs"`
	CreatedAt int64                      `db:"created_at"`
}

var rows = db.NewTable[spec]("blockstorage_qos", "id", "QoS spec")

type store struct{ db *db.DB }

func notFound(id string) error {
	return fault.NotFoundf("No such QoS spec %s.", id).With("QoSSpecsNotFound")
}

// List loads a page.
func (s store) List(ctx context.Context, q listing.Query) ([]*spec, error) {
	q, skip := blockstorage.Skip(q)
	list, err := rows.List(ctx, s.db, q)
	return list[min(skip, len(list)):], err
}

// Get loads one.
func (s store) Get(ctx context.Context, id string) (*spec, error) {
	return found(rows.Get(ctx, s.db, id))(id)
}

func found(r *spec, err error) func(id string) (*spec, error) {
	return func(id string) (*spec, error) {
		if fault.Is(err, fault.NotFound) {
			return nil, notFound(id)
		}
		if err == nil && r.Specs.V == nil {
			r.Specs.V = map[string]string{}
		}
		return r, err
	}
}
