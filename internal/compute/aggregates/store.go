package aggregates

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// Aggregate is a set of hosts.
type Aggregate struct {
	ID        string                     `db:"id"` // UUID
	Serial    int64                      `db:"serial"`
	Name      string                     `db:"name"`
	Zone      string                     `db:"zone"` // empty: none
	Hosts     db.JSON[[]string]          `db:"hosts"`
	Metadata  db.JSON[map[string]string] `db:"metadata"`
	CreatedAt int64                      `db:"created_at"` // microseconds
	UpdatedAt int64                      `db:"updated_at"` // 0: never
}

var rows = db.NewTable[Aggregate]("compute_aggregates", "id", "Aggregate")

func is(column string, value any) listing.Term {
	return listing.Term{Column: column, Values: []any{value}}
}

func list(ctx context.Context, q db.Querier) ([]*Aggregate, error) {
	return rows.List(ctx, q, listing.Query{Order: []listing.Order{{Column: "serial"}}})
}

func bySerial(ctx context.Context, q db.Querier, serial int64) (*Aggregate, error) {
	a, err := rows.One(ctx, q, is("serial", serial))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Aggregate %d could not be found.", serial)
	}
	return a, err
}
