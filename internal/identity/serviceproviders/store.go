package serviceproviders

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID               string  `db:"id"`
	AuthURL          string  `db:"auth_url"`
	SPURL            string  `db:"sp_url"`
	RelayStatePrefix string  `db:"relay_state_prefix"`
	Description      *string `db:"description"`
	Enabled          bool    `db:"enabled"`
	CreatedAt        int64   `db:"created_at"`
}

func toRow(p *identity.ServiceProvider) *row {
	return &row{p.ID, p.AuthURL, p.SPURL, p.RelayStatePrefix, p.Description, p.Enabled, clock.Micros(p.CreatedAt)}
}

func (r *row) provider() *identity.ServiceProvider {
	return &identity.ServiceProvider{ID: r.ID, AuthURL: r.AuthURL, SPURL: r.SPURL, RelayStatePrefix: r.RelayStatePrefix,
		Description: r.Description, Enabled: r.Enabled, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

const table = "identity_service_providers"

type store struct{ providers *db.Table[row] }

func newStore() store { return store{db.NewTable[row](table, "id", "Service provider")} }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.ServiceProvider, error) {
	r, err := s.providers.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find Service Provider: %s.", id)
	}
	if err != nil {
		return nil, err
	}
	return r.provider(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.ServiceProvider, error) {
	rows, err := s.providers.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.ServiceProvider, len(rows))
	for i, r := range rows {
		out[i] = r.provider()
	}
	return out, nil
}
