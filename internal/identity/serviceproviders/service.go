package serviceproviders

import (
	"context"
	"sync/atomic"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Generation counts changes of identity rows, as this server has seen them.
type Generation interface{ Generation() int64 }

// Service keeps service providers. Safe for concurrent use.
type Service struct {
	db         *db.DB
	clock      clock.Clock
	changes    identity.Changes
	generation Generation
	prepare    func(ctx context.Context) error
	store      store
	kept       *db.Kept[struct{}, []identity.ServiceProvider]
	enabled    atomic.Pointer[enabled]
}

// enabled is what Enabled answers at one generation.
type enabled struct {
	generation int64
	list       []identity.ServiceProvider
}

// New makes the service. prepare has this cloud made ready to vouch for somebody.
func New(d *db.DB, c clock.Clock, ch identity.Changes, g Generation, prepare func(ctx context.Context) error) *Service {
	return &Service{db: d, clock: c, changes: ch, generation: g, prepare: prepare, store: newStore(), kept: db.Keep[struct{}, []identity.ServiceProvider](table)}
}

// Get loads a service provider; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.ServiceProvider, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads a page of service providers.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.ServiceProvider, error) {
	return s.store.list(ctx, s.db, q)
}

// Enabled lists those that are enabled, by id. Every answer with a token shows
// them, so they are read only after a change: of their rows where this server is the
// only one, of any identity rows elsewhere. Readers MUST NOT change the list.
func (s *Service) Enabled(ctx context.Context) ([]identity.ServiceProvider, error) {
	now := s.generation.Generation() // before the rows are read: they may be newer, never older
	if e := s.enabled.Load(); e != nil && e.generation == now {
		return e.list, nil
	}
	list, err := s.kept.Get(s.db, struct{}{}, func() ([]identity.ServiceProvider, error) {
		list, err := s.store.list(ctx, s.db, listing.Query{}.And("enabled", listing.Eq, true))
		out := make([]identity.ServiceProvider, len(list))
		for i, p := range list {
			out[i] = *p
		}
		return out, err
	})
	if err == nil {
		s.enabled.Store(&enabled{now, list})
	}
	return list, err
}

func (s *Service) write(ctx context.Context, action, object string, fn func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, "service_provider", object))
	})
}

// Create adds a service provider with an id of the caller's. Conflict: it is taken.
func (s *Service) Create(ctx context.Context, p identity.ServiceProvider) (*identity.ServiceProvider, error) {
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	p.CreatedAt = s.clock.Now()
	err := s.write(ctx, "create", p.ID, func(tx *db.Tx) error { return s.store.providers.Insert(ctx, tx, toRow(&p)) })
	if fault.Is(err, fault.Conflict) {
		err = fault.Conflictf("Conflict occurred attempting to store service_provider - Duplicate entry found with ID %s.", p.ID).Because(err)
	}
	return &p, err
}

// Update changes a service provider; fn edits it inside the transaction. NotFound.
func (s *Service) Update(ctx context.Context, id string, fn func(*identity.ServiceProvider)) (*identity.ServiceProvider, error) {
	var out *identity.ServiceProvider
	err := s.write(ctx, "update", id, func(tx *db.Tx) error {
		p, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(p)
		out = p
		return s.store.providers.Update(ctx, tx, toRow(p))
	})
	return out, err
}

// Delete removes a service provider; NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.write(ctx, "delete", id, func(tx *db.Tx) error {
		if _, err := s.store.get(ctx, tx, id); err != nil {
			return err
		}
		return s.store.providers.Delete(ctx, tx, id)
	})
}
