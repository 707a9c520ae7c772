package trusts

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// maxDepth is how many times a trust may be lent on (max_redelegation_count).
const maxDepth = 3

// Service keeps trusts. Safe for concurrent use.
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

// Get loads a trust with its roles; NotFound when there is none, or it ended,
// or no use is left.
func (s *Service) Get(ctx context.Context, id string) (*identity.Trust, error) {
	t, err := s.store.get(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	if t.RemainingUses == 0 || (!t.ExpiresAt.IsZero() && !s.clock.Now().Before(t.ExpiresAt)) {
		return nil, notFound(id)
	}
	return t, nil
}

// List loads trusts without their roles, as upstream lists them.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Trust, error) {
	return s.store.list(ctx, s.db, q)
}

// Consume takes one use for a token; Forbidden when none is left.
func (s *Service) Consume(ctx context.Context, id string) error {
	t, err := s.store.get(ctx, s.db, id)
	if err != nil || t.RemainingUses < 0 {
		return err
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		ok, err := s.store.consume(ctx, tx, id)
		if err == nil && !ok {
			err = fault.Forbiddenf("No remaining uses for trust: %s.", id)
		}
		return err
	})
}

// Create adds a trust. source is the trust behind the caller's token, or nil.
// Forbidden: it would be larger than its source. Invalid: a limit on uses of a
// trust that may be lent on.
func (s *Service) Create(ctx context.Context, t identity.Trust, source *identity.Trust) (*identity.Trust, error) {
	t.ID, t.CreatedAt = id.Hex(), s.clock.Now()
	if err := depth(&t, source); err != nil {
		return nil, err
	}
	if source != nil {
		if err := within(&t, source); err != nil {
			return nil, err
		}
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.insert(ctx, tx, &t); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("create", "trust", t.ID))
	})
	return &t, err
}

// depth settles how often a new trust may be lent on.
func depth(t *identity.Trust, source *identity.Trust) error {
	most := maxDepth
	if source != nil {
		most = source.Redelegations - 1
	}
	switch {
	case !t.AllowRedelegate || t.Redelegations == 0:
		t.AllowRedelegate, t.Redelegations = false, 0
	case t.RemainingUses >= 0:
		return fault.Invalidf("remaining_uses must not be set if redelegation is allowed")
	case t.Redelegations > most:
		return fault.Forbiddenf("Requested redelegation depth of %d is greater than allowed %d", t.Redelegations, most)
	case t.Redelegations < 0:
		t.Redelegations = most
	}
	return nil
}

// within keeps a trust smaller than the one it is made from.
func within(t, source *identity.Trust) error {
	switch {
	case source.Redelegations < 1:
		return fault.Forbiddenf("Remaining redelegation depth of %d out of allowed range of [0..%d]", source.Redelegations, maxDepth)
	case t.RemainingUses >= 0:
		return fault.Forbiddenf("Field \"remaining_uses\" is set to %d while it must not be set in order to redelegate a trust", t.RemainingUses)
	case t.ProjectID != source.ProjectID:
		return fault.Forbiddenf("The project is not that of the redelegated trust")
	case t.Impersonation && !source.Impersonation:
		return fault.Forbiddenf("Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust id: %s", source.ID)
	case !source.ExpiresAt.IsZero() && !t.ExpiresAt.IsZero() && t.ExpiresAt.After(source.ExpiresAt):
		return fault.Forbiddenf("Requested expiration time is more than redelegated trust can provide")
	}
	for _, r := range t.Roles {
		if !slices.ContainsFunc(source.Roles, func(o identity.Named) bool { return o.ID == r.ID }) {
			return fault.Forbiddenf("Some of requested roles are not in redelegated trust")
		}
	}
	if t.ExpiresAt.IsZero() {
		t.ExpiresAt = source.ExpiresAt
	}
	t.RedelegatedID = source.ID
	return nil
}

// Delete removes a trust and those made from it; their tokens end.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			if fault.Is(err, fault.NotFound) {
				return notFound(id)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "trust", id), identity.Revocation{Subject: identity.SubjectTrust, Key: id})
	})
}
