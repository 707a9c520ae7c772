package catalog

import (
	"context"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Generation counts changes of identity rows, as this server has seen them.
type Generation interface{ Generation() int64 }

// Filter tells which endpoints a project sees: nil for one that sees them all.
type Filter interface {
	Shown(ctx context.Context, project string) (func(*identity.Endpoint) bool, error)
}

// Service keeps the catalog. Safe for concurrent use.
type Service struct {
	db         *db.DB
	clock      clock.Clock
	changes    identity.Changes
	generation Generation
	filter     Filter
	root       string // scheme://host:port of our own endpoints; empty: what the client used
	store      store

	mu     sync.Mutex
	known  int64 // generation of cached
	cached []offer
}

// offer is an enabled service with its enabled endpoints.
type offer struct {
	service   *identity.Service
	endpoints []*identity.Endpoint
}

// New makes the service. root is the address of the cloud's own endpoints;
// when it is empty they are shown at the address the client came by.
func New(d *db.DB, c clock.Clock, ch identity.Changes, g Generation, f Filter, root string) *Service {
	return &Service{db: d, clock: c, changes: ch, generation: g, filter: f, root: root, store: newStore(), known: -1}
}

func (s *Service) offers(ctx context.Context) ([]offer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.generation.Generation()
	if s.known == now {
		return s.cached, nil
	}
	enabled := listing.Query{}.And("enabled", listing.Eq, true)
	services, err := s.Services(ctx, enabled)
	if err != nil {
		return nil, err
	}
	endpoints, err := s.Endpoints(ctx, enabled)
	if err != nil {
		return nil, err
	}
	out := make([]offer, 0, len(services))
	for _, svc := range services {
		o := offer{service: svc}
		for _, e := range endpoints {
			if e.ServiceID == svc.ID {
				o.endpoints = append(o.endpoints, e)
			}
		}
		out = append(out, o)
	}
	s.cached, s.known = out, now
	return out, nil
}

// Region loads a region; NotFound.
func (s *Service) Region(ctx context.Context, id string) (*identity.Region, error) {
	return s.store.region(ctx, s.db, id)
}

// ServiceByID loads a service; NotFound.
func (s *Service) ServiceByID(ctx context.Context, id string) (*identity.Service, error) {
	return s.store.service(ctx, s.db, id)
}

// EndpointByID loads an endpoint; NotFound.
func (s *Service) EndpointByID(ctx context.Context, id string) (*identity.Endpoint, error) {
	return s.store.endpoint(ctx, s.db, id)
}

// Regions loads a page of regions.
func (s *Service) Regions(ctx context.Context, q listing.Query) ([]*identity.Region, error) {
	return list(ctx, s.db, s.store.regions, q, (*regionRow).region)
}

// Services loads a page of services.
func (s *Service) Services(ctx context.Context, q listing.Query) ([]*identity.Service, error) {
	return list(ctx, s.db, s.store.services, q, (*serviceRow).service)
}

// Endpoints loads a page of endpoints.
func (s *Service) Endpoints(ctx context.Context, q listing.Query) ([]*identity.Endpoint, error) {
	return list(ctx, s.db, s.store.endpoints, q, (*endpointRow).endpoint)
}

// write runs fn and records a change of one object.
func (s *Service) write(ctx context.Context, action, kind, object string, fn func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, kind, object))
	})
}

// CreateRegion adds a region under an id that people may choose. Conflict: taken.
func (s *Service) CreateRegion(ctx context.Context, r identity.Region) (*identity.Region, error) {
	if r.ID == "" {
		r.ID = id.Hex()
	}
	r.CreatedAt = s.clock.Now()
	err := s.write(ctx, "create", "region", r.ID, func(tx *db.Tx) error {
		if err := s.parent(ctx, tx, &r); err != nil {
			return err
		}
		err := s.store.regions.Insert(ctx, tx, fromRegion(&r))
		if fault.Is(err, fault.Conflict) {
			return fault.Conflictf("Conflict occurred attempting to store region - Duplicate ID, %s..", r.ID).Because(err)
		}
		return err
	})
	return &r, err
}

// parent refuses a parent that is missing or stands below the region itself.
func (s *Service) parent(ctx context.Context, tx *db.Tx, r *identity.Region) error {
	for at, n := r.ParentID, 0; at != ""; n++ {
		if at == r.ID || n > 100 {
			return fault.Invalidf("The specified parent region %s would create a circular region hierarchy.", r.ParentID)
		}
		p, err := s.store.region(ctx, tx, at)
		if err != nil {
			return err
		}
		at = p.ParentID
	}
	return nil
}

// UpdateRegion changes a region; fn edits it inside the transaction.
func (s *Service) UpdateRegion(ctx context.Context, id string, fn func(*identity.Region)) (*identity.Region, error) {
	var out *identity.Region
	err := s.write(ctx, "update", "region", id, func(tx *db.Tx) error {
		r, err := s.store.region(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(r)
		out = r
		if err := s.parent(ctx, tx, r); err != nil {
			return err
		}
		return s.store.regions.Update(ctx, tx, fromRegion(r))
	})
	return out, err
}

// DeleteRegion removes a region and those below it. Forbidden: endpoints are there.
func (s *Service) DeleteRegion(ctx context.Context, id string) error {
	return s.write(ctx, "delete", "region", id, func(tx *db.Tx) error {
		if _, err := s.store.region(ctx, tx, id); err != nil {
			return err
		}
		err := s.store.regions.Delete(ctx, tx, id)
		if fault.Is(err, fault.Conflict) {
			return fault.Forbiddenf("Unable to delete region %s because it or its child regions have associated endpoints.", id).Because(err)
		}
		return err
	})
}

// CreateService adds a service.
func (s *Service) CreateService(ctx context.Context, v identity.Service) (*identity.Service, error) {
	v.ID, v.CreatedAt = id.Hex(), s.clock.Now()
	return &v, s.write(ctx, "create", "service", v.ID, func(tx *db.Tx) error { return s.store.services.Insert(ctx, tx, fromService(&v)) })
}

// UpdateService changes a service; fn edits it inside the transaction.
func (s *Service) UpdateService(ctx context.Context, id string, fn func(*identity.Service)) (*identity.Service, error) {
	var out *identity.Service
	err := s.write(ctx, "update", "service", id, func(tx *db.Tx) error {
		v, err := s.store.service(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(v)
		out = v
		return s.store.services.Update(ctx, tx, fromService(v))
	})
	return out, err
}

// DeleteService removes a service with its endpoints.
func (s *Service) DeleteService(ctx context.Context, id string) error {
	return s.write(ctx, "delete", "service", id, func(tx *db.Tx) error {
		if _, err := s.store.service(ctx, tx, id); err != nil {
			return err
		}
		return s.store.services.Delete(ctx, tx, id)
	})
}

// CreateEndpoint adds an endpoint. Its region is made if it does not exist, as
// upstream does. Invalid: the service does not exist.
func (s *Service) CreateEndpoint(ctx context.Context, e identity.Endpoint) (*identity.Endpoint, error) {
	e.ID, e.CreatedAt = id.Hex(), s.clock.Now()
	err := s.write(ctx, "create", "endpoint", e.ID, func(tx *db.Tx) error {
		if err := s.refers(ctx, tx, &e); err != nil {
			return err
		}
		return s.store.endpoints.Insert(ctx, tx, fromEndpoint(&e))
	})
	return &e, err
}

func (s *Service) refers(ctx context.Context, tx *db.Tx, e *identity.Endpoint) error {
	if _, err := s.store.service(ctx, tx, e.ServiceID); err != nil {
		return fault.Invalidf("Could not find service: %s.", e.ServiceID).Because(err)
	}
	if e.RegionID == "" {
		return nil
	}
	_, err := s.store.region(ctx, tx, e.RegionID)
	if fault.Is(err, fault.NotFound) {
		return s.store.regions.Insert(ctx, tx, fromRegion(&identity.Region{ID: e.RegionID, CreatedAt: s.clock.Now()}))
	}
	return err
}

// UpdateEndpoint changes an endpoint; fn edits it inside the transaction.
func (s *Service) UpdateEndpoint(ctx context.Context, id string, fn func(*identity.Endpoint)) (*identity.Endpoint, error) {
	var out *identity.Endpoint
	err := s.write(ctx, "update", "endpoint", id, func(tx *db.Tx) error {
		e, err := s.store.endpoint(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(e)
		out = e
		if err := s.refers(ctx, tx, e); err != nil {
			return err
		}
		return s.store.endpoints.Update(ctx, tx, fromEndpoint(e))
	})
	return out, err
}

// DeleteEndpoint removes an endpoint.
func (s *Service) DeleteEndpoint(ctx context.Context, id string) error {
	return s.write(ctx, "delete", "endpoint", id, func(tx *db.Tx) error {
		if _, err := s.store.endpoint(ctx, tx, id); err != nil {
			return err
		}
		return s.store.endpoints.Delete(ctx, tx, id)
	})
}
