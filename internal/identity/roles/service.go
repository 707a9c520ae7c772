package roles

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

// prohibited may not be implied by another role (upstream's prohibited_implied_role).
const prohibited = "admin"

// Service keeps roles. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes) *Service {
	return &Service{d, c, ch, newStore()}
}

// Get loads a role; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.Role, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads a page of roles.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Role, error) {
	return s.store.list(ctx, s.db, q)
}

// All loads every role by id.
func (s *Service) All(ctx context.Context) (map[string]*identity.Role, error) {
	list, err := s.List(ctx, listing.Query{})
	out := make(map[string]*identity.Role, len(list))
	for _, r := range list {
		out[r.ID] = r
	}
	return out, err
}

// Create adds a role. Conflict: the name is taken in its domain or globally.
func (s *Service) Create(ctx context.Context, r identity.Role) (*identity.Role, error) {
	r.ID, r.CreatedAt, r.Name = id.Hex(), s.clock.Now(), strings.TrimSpace(r.Name)
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Insert(ctx, tx, toRow(&r)); err != nil {
			return taken(err, r.Name)
		}
		return s.changes.Changed(ctx, tx, identity.Change("create", "role", r.ID))
	})
	return &r, err
}

func taken(err error, name string) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Conflict occurred attempting to store role - Duplicate entry found with name %s.", name).Because(err)
	}
	return err
}

// Update changes a role; fn edits it inside the transaction. Forbidden: it is
// immutable and stays so.
func (s *Service) Update(ctx context.Context, id string, fn func(*identity.Role)) (*identity.Role, error) {
	var out *identity.Role
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		locked := r.Immutable != nil && *r.Immutable
		fn(r)
		if locked && (r.Immutable == nil || *r.Immutable) {
			return fault.Forbiddenf("Unable to update immutable role resource: `%s`. Set resource option \"immutable\" to false first.", id)
		}
		out = r
		if err := s.store.table.Update(ctx, tx, toRow(r)); err != nil {
			return taken(err, r.Name)
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "role", id))
	})
	return out, err
}

// Delete removes a role with its assignments. Forbidden: it is immutable.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if r.Immutable != nil && *r.Immutable {
			return fault.Forbiddenf("Unable to delete immutable role resource: `%s`. Set resource option \"immutable\" to false first.", id)
		}
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "role", id))
	})
}

// Imply makes one role imply another; doing it twice is fine. Forbidden: admin
// may not be implied, nor may a global role imply one of a domain.
func (s *Service) Imply(ctx context.Context, prior, implied string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		p, err := s.store.get(ctx, tx, prior)
		if err != nil {
			return err
		}
		r, err := s.store.get(ctx, tx, implied)
		if err != nil {
			return err
		}
		if strings.EqualFold(r.Name, prohibited) || (p.DomainID == "" && r.DomainID != "") || prior == implied {
			return fault.Forbiddenf("%s cannot be an implied roles.", implied)
		}
		if err := s.store.imply(ctx, tx, prior, implied); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "role", prior))
	})
}

// Unimply ends an implication; NotFound when there is none.
func (s *Service) Unimply(ctx context.Context, prior, implied string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		was, err := s.store.unimply(ctx, tx, prior, implied)
		if err != nil {
			return err
		}
		if !was {
			return notImplied(prior, implied)
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "role", prior))
	})
}

func notImplied(prior, implied string) error {
	return fault.NotFoundf("%s does not imply %s.", prior, implied)
}

// Implications lists pairs of prior and implied role ids, of one prior role or all.
func (s *Service) Implications(ctx context.Context, prior string) ([][2]string, error) {
	return s.store.implications(ctx, s.db, prior)
}

// ByName finds a global role; NotFound.
func (s *Service) ByName(ctx context.Context, name string) (*identity.Role, error) {
	list, err := s.List(ctx, listing.Query{Limit: 1}.And("name", listing.Eq, name).And("domain_id", listing.IsNull, true))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(name)
	}
	return list[0], nil
}
