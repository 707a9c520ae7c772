package limits

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type registeredRow struct {
	ID           string  `db:"id"`
	ServiceID    string  `db:"service_id"`
	RegionID     *string `db:"region_id"`
	ResourceName string  `db:"resource_name"`
	DefaultLimit int64   `db:"default_limit"`
	Description  *string `db:"description"`
	CreatedAt    int64   `db:"created_at"`
}

type limitRow struct {
	ID            string  `db:"id"`
	ProjectID     *string `db:"project_id"`
	DomainID      *string `db:"domain_id"`
	RegisteredID  string  `db:"registered_id"`
	ResourceLimit int64   `db:"resource_limit"`
	Description   *string `db:"description"`
	CreatedAt     int64   `db:"created_at"`
}

type store struct {
	registered *db.Table[registeredRow]
	limits     *db.Table[limitRow]
}

func newStore() store {
	return store{db.NewTable[registeredRow]("identity_registered_limits", "id", "Registered limit"),
		db.NewTable[limitRow]("identity_limits", "id", "Limit")}
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

func fromRegistered(l *identity.RegisteredLimit) *registeredRow {
	return &registeredRow{l.ID, l.ServiceID, ref(l.RegionID), l.ResourceName, l.DefaultLimit, l.Description, clock.Micros(l.CreatedAt)}
}

func (r *registeredRow) limit() *identity.RegisteredLimit {
	return &identity.RegisteredLimit{ID: r.ID, ServiceID: r.ServiceID, RegionID: deref(r.RegionID), ResourceName: r.ResourceName,
		DefaultLimit: r.DefaultLimit, Description: r.Description, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

func (s store) getRegistered(ctx context.Context, q db.Querier, id string) (*identity.RegisteredLimit, error) {
	r, err := s.registered.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find registered limit for %s.", id)
	}
	if err != nil {
		return nil, err
	}
	return r.limit(), nil
}

func (s store) listRegistered(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.RegisteredLimit, error) {
	rows, err := s.registered.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.RegisteredLimit, len(rows))
	for i, r := range rows {
		out[i] = r.limit()
	}
	return out, nil
}

func (s store) getLimit(ctx context.Context, q db.Querier, id string) (*identity.Limit, error) {
	list, err := s.listLimits(ctx, q, listing.Query{}.And("id", listing.Eq, id))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.NotFoundf("Could not find limit for %s.", id)
	}
	return list[0], nil
}

// listLimits joins each limit with what is registered.
func (s store) listLimits(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.Limit, error) {
	rows, err := s.limits.List(ctx, q, query)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	registered, err := s.listRegistered(ctx, q, listing.Query{})
	if err != nil {
		return nil, err
	}
	byID := map[string]*identity.RegisteredLimit{}
	for _, r := range registered {
		byID[r.ID] = r
	}
	out := make([]*identity.Limit, 0, len(rows))
	for _, r := range rows {
		reg := byID[r.RegisteredID]
		if reg == nil {
			continue // deleted between the two reads
		}
		out = append(out, &identity.Limit{ID: r.ID, ProjectID: deref(r.ProjectID), DomainID: deref(r.DomainID), RegisteredID: r.RegisteredID,
			ServiceID: reg.ServiceID, RegionID: reg.RegionID, ResourceName: reg.ResourceName, ResourceLimit: r.ResourceLimit,
			Description: r.Description, CreatedAt: clock.FromMicros(r.CreatedAt)})
	}
	return out, nil
}
