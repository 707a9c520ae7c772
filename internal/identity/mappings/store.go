package mappings

import (
	"context"
	"encoding/json"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID            string `db:"id"`
	Rules         string `db:"rules"`
	SchemaVersion string `db:"schema_version"`
	CreatedAt     int64  `db:"created_at"`
}

func toRow(m *identity.Mapping) *row {
	return &row{m.ID, string(m.Rules), m.SchemaVersion, clock.Micros(m.CreatedAt)}
}

func (r *row) mapping() *identity.Mapping {
	return &identity.Mapping{ID: r.ID, Rules: json.RawMessage(r.Rules), SchemaVersion: r.SchemaVersion, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

type store struct{ mappings *db.Table[row] }

func newStore() store { return store{db.NewTable[row]("identity_mappings", "id", "Mapping")} }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Mapping, error) {
	r, err := s.mappings.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find mapping: %s.", id)
	}
	if err != nil {
		return nil, err
	}
	return r.mapping(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.Mapping, error) {
	rows, err := s.mappings.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Mapping, len(rows))
	for i, r := range rows {
		out[i] = r.mapping()
	}
	return out, nil
}
