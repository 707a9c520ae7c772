package catalog

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type regionRow struct {
	ID          string                  `db:"id"`
	ParentID    *string                 `db:"parent_id"`
	Description string                  `db:"description"`
	Extra       db.JSON[map[string]any] `db:"extra"`
	CreatedAt   int64                   `db:"created_at"`
}

type serviceRow struct {
	ID        string                  `db:"id"`
	Type      string                  `db:"type"`
	Name      string                  `db:"name"`
	Enabled   bool                    `db:"enabled"`
	Extra     db.JSON[map[string]any] `db:"extra"`
	CreatedAt int64                   `db:"created_at"`
}

type endpointRow struct {
	ID        string                  `db:"id"`
	ServiceID string                  `db:"service_id"`
	RegionID  *string                 `db:"region_id"`
	Interface string                  `db:"interface"`
	URL       string                  `db:"url"`
	Enabled   bool                    `db:"enabled"`
	Extra     db.JSON[map[string]any] `db:"extra"`
	CreatedAt int64                   `db:"created_at"`
}

type store struct {
	regions   *db.Table[regionRow]
	services  *db.Table[serviceRow]
	endpoints *db.Table[endpointRow]
}

func newStore() store {
	return store{db.NewTable[regionRow]("identity_regions", "id", "Region"), db.NewTable[serviceRow]("identity_services", "id", "Service"),
		db.NewTable[endpointRow]("identity_endpoints", "id", "Endpoint")}
}

func ref(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func fromRegion(r *identity.Region) *regionRow {
	return &regionRow{r.ID, ref(r.ParentID), r.Description, db.J(r.Extra), clock.Micros(r.CreatedAt)}
}

func (r *regionRow) region() *identity.Region {
	return &identity.Region{ID: r.ID, ParentID: deref(r.ParentID), Description: r.Description, Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

func fromService(s *identity.Service) *serviceRow {
	return &serviceRow{s.ID, s.Type, s.Name, s.Enabled, db.J(s.Extra), clock.Micros(s.CreatedAt)}
}

func (r *serviceRow) service() *identity.Service {
	return &identity.Service{ID: r.ID, Type: r.Type, Name: r.Name, Enabled: r.Enabled, Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

func fromEndpoint(e *identity.Endpoint) *endpointRow {
	return &endpointRow{e.ID, e.ServiceID, ref(e.RegionID), e.Interface, e.URL, e.Enabled, db.J(e.Extra), clock.Micros(e.CreatedAt)}
}

func (r *endpointRow) endpoint() *identity.Endpoint {
	return &identity.Endpoint{ID: r.ID, ServiceID: r.ServiceID, RegionID: deref(r.RegionID), Interface: r.Interface, URL: r.URL, Enabled: r.Enabled,
		Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

// get loads one row and gives missing the text of Keystone.
func get[R, T any](ctx context.Context, q db.Querier, t *db.Table[R], id, noun string, convert func(*R) *T) (*T, error) {
	r, err := t.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find %s: %s.", noun, id)
	}
	if err != nil {
		return nil, err
	}
	return convert(r), nil
}

func list[R, T any](ctx context.Context, q db.Querier, t *db.Table[R], query listing.Query, convert func(*R) *T) ([]*T, error) {
	rows, err := t.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*T, len(rows))
	for i, r := range rows {
		out[i] = convert(r)
	}
	return out, nil
}

func (s store) region(ctx context.Context, q db.Querier, id string) (*identity.Region, error) {
	return get(ctx, q, s.regions, id, "region", (*regionRow).region)
}

func (s store) service(ctx context.Context, q db.Querier, id string) (*identity.Service, error) {
	return get(ctx, q, s.services, id, "service", (*serviceRow).service)
}

func (s store) endpoint(ctx context.Context, q db.Querier, id string) (*identity.Endpoint, error) {
	return get(ctx, q, s.endpoints, id, "endpoint", (*endpointRow).endpoint)
}
