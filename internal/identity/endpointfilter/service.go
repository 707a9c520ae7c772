package endpointfilter

import (
	"context"
	"slices"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Generation counts changes of identity rows, as this server has seen them.
type Generation interface{ Generation() int64 }

// Service keeps filters. Safe for concurrent use.
type Service struct {
	db         *db.DB
	clock      clock.Clock
	changes    identity.Changes
	generation Generation
	store      store

	mu     sync.Mutex
	known  int64 // generation of cached
	cached map[string]*view
}

// view is what one project was given.
type view struct {
	endpoints map[string]bool
	groups    []identity.EndpointFilters
}

func (v *view) has(e *identity.Endpoint) bool {
	return v.endpoints[e.ID] || slices.ContainsFunc(v.groups, func(f identity.EndpointFilters) bool { return f.Has(e) })
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, g Generation) *Service {
	return &Service{db: d, clock: c, changes: ch, generation: g, store: newStore(), known: -1}
}

// Shown tells which endpoints a project sees: nil for one that sees them all.
// It queries only when identity rows have changed since.
func (s *Service) Shown(ctx context.Context, project string) (func(*identity.Endpoint) bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.generation.Generation() // before the rows: they may be newer, never older
	if s.known != now {
		views, err := s.views(ctx)
		if err != nil {
			return nil, err
		}
		s.cached, s.known = views, now
	}
	if v := s.cached[project]; v != nil {
		return v.has, nil
	}
	return nil, nil
}

func (s *Service) views(ctx context.Context) (map[string]*view, error) {
	out := map[string]*view{}
	of := func(project string) *view {
		if out[project] == nil {
			out[project] = &view{endpoints: map[string]bool{}}
		}
		return out[project]
	}
	pairs, err := endpoints.pairs(ctx, s.db)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		of(p.project).endpoints[p.item] = true
	}
	if pairs, err = groups.pairs(ctx, s.db); err != nil || len(pairs) == 0 {
		return out, err
	}
	list, err := s.store.list(ctx, s.db, listing.Query{})
	if err != nil {
		return nil, err
	}
	filters := make(map[string]identity.EndpointFilters, len(list))
	for _, g := range list {
		filters[g.ID] = g.Filters
	}
	for _, p := range pairs {
		if f, ok := filters[p.item]; ok { // else deleted between the two reads
			of(p.project).groups = append(of(p.project).groups, f)
		}
	}
	return out, nil
}

// Group loads an endpoint group; NotFound.
func (s *Service) Group(ctx context.Context, id string) (*identity.EndpointGroup, error) {
	return s.store.get(ctx, s.db, id)
}

// Groups loads a page of endpoint groups.
func (s *Service) Groups(ctx context.Context, q listing.Query) ([]*identity.EndpointGroup, error) {
	return s.store.list(ctx, s.db, q)
}

// GroupsOf loads the endpoint groups that a project was given.
func (s *Service) GroupsOf(ctx context.Context, project string) ([]*identity.EndpointGroup, error) {
	return s.store.list(ctx, s.db, listing.Query{}, given(project))
}

func (s *Service) write(ctx context.Context, action, kind, object string, fn func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, kind, object))
	})
}

// Create adds an endpoint group.
func (s *Service) Create(ctx context.Context, g identity.EndpointGroup) (*identity.EndpointGroup, error) {
	g.ID, g.CreatedAt = id.Hex(), s.clock.Now()
	return &g, s.write(ctx, "create", "endpoint_group", g.ID, func(tx *db.Tx) error { return s.store.groups.Insert(ctx, tx, toRow(&g)) })
}

// Update changes an endpoint group; fn edits it inside the transaction.
func (s *Service) Update(ctx context.Context, id string, fn func(*identity.EndpointGroup)) (*identity.EndpointGroup, error) {
	var out *identity.EndpointGroup
	err := s.write(ctx, "update", "endpoint_group", id, func(tx *db.Tx) error {
		g, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(g)
		out = g
		return s.store.groups.Update(ctx, tx, toRow(g))
	})
	return out, err
}

// Delete removes an endpoint group, also from the projects that have it; NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.write(ctx, "delete", "endpoint_group", id, func(tx *db.Tx) error {
		if _, err := s.store.get(ctx, tx, id); err != nil {
			return err
		}
		return s.store.groups.Delete(ctx, tx, id)
	})
}

// give hands a project an endpoint or a group. Conflict: it has it.
func (s *Service) give(ctx context.Context, k kind, p pair) error {
	return s.write(ctx, "update", "project", p.project, func(tx *db.Tx) error { return k.add(ctx, tx, p) })
}

// take takes it away; NotFound.
func (s *Service) take(ctx context.Context, k kind, p pair) error {
	return s.write(ctx, "update", "project", p.project, func(tx *db.Tx) error {
		there, err := k.drop(ctx, tx, p)
		if err == nil && !there {
			err = k.missing(p)
		}
		return err
	})
}

// has checks that a project was given an endpoint or a group itself; NotFound.
func (s *Service) has(ctx context.Context, k kind, p pair) error {
	all, err := k.pairs(ctx, s.db)
	if err == nil && !slices.Contains(all, p) {
		err = k.missing(p)
	}
	return err
}

// projectsOf lists the ids of the projects that were given an endpoint or a group.
func (s *Service) projectsOf(ctx context.Context, k kind, item string) ([]string, error) {
	all, err := k.pairs(ctx, s.db)
	var out []string
	for _, p := range all {
		if p.item == item {
			out = append(out, p.project)
		}
	}
	return out, err
}
