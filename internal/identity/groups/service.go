package groups

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Domains finds domains.
type Domains interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
}

// Service keeps groups. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	users   Users
	domains Domains
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, u Users, domains Domains) *Service {
	return &Service{d, c, ch, u, domains, newStore()}
}

// Get loads a group; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.Group, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads a page of groups.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Group, error) {
	return s.store.list(ctx, s.db, q)
}

// OfUser lists the groups a user is in.
func (s *Service) OfUser(ctx context.Context, user string, q listing.Query) ([]*identity.Group, error) {
	return s.store.list(ctx, s.db, q, ofUser(user, clock.Micros(s.clock.Now())))
}

// Create adds a group. NotFound: the domain. Conflict: the name is taken.
func (s *Service) Create(ctx context.Context, g identity.Group) (*identity.Group, error) {
	g.ID, g.CreatedAt, g.Name = id.Hex(), s.clock.Now(), strings.TrimSpace(g.Name)
	if d, err := s.domains.Get(ctx, g.DomainID); err != nil || !d.IsDomain {
		return nil, fault.NotFoundf("Could not find domain: %s.", g.DomainID).Because(err)
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Insert(ctx, tx, toRow(&g)); err != nil {
			return taken(err, g.Name)
		}
		return s.changes.Changed(ctx, tx, identity.Change("create", "group", g.ID))
	})
	return &g, err
}

func taken(err error, name string) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Conflict occurred attempting to store group - Duplicate entry found with name %s.", name).Because(err)
	}
	return err
}

// Update changes a group; fn edits it inside the transaction.
func (s *Service) Update(ctx context.Context, id string, fn func(*identity.Group)) (*identity.Group, error) {
	var out *identity.Group
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		g, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(g)
		out = g
		if err := s.store.table.Update(ctx, tx, toRow(g)); err != nil {
			return taken(err, g.Name)
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "group", id))
	})
	return out, err
}

// Delete removes a group with its memberships and assignments.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			if fault.Is(err, fault.NotFound) {
				return notFound(id)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "group", id))
	})
}

// Join adds a user to a group; being in it already is fine.
func (s *Service) Join(ctx context.Context, group, user string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.join(ctx, tx, group, user); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "group", group))
	})
}

// Leave removes a user from a group; NotFound when it is not in it.
func (s *Service) Leave(ctx context.Context, group, user string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		was, err := s.store.leave(ctx, tx, group, user)
		if err != nil {
			return err
		}
		if !was {
			return fault.NotFoundf("User '%s' not found in group '%s'.", user, group)
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "group", group))
	})
}

// Has tells whether a user is in a group.
func (s *Service) Has(ctx context.Context, group, user string) (bool, error) {
	return s.store.has(ctx, s.db, group, user, clock.Micros(s.clock.Now()))
}
