package appcreds

import (
	"context"
	"errors"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Hasher makes and checks hashes of secrets.
type Hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Check(ctx context.Context, hash, password string) (identity.Verdict, error)
}

// Service keeps application credentials. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	hasher  Hasher
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, h Hasher) *Service {
	return &Service{d, c, ch, h, newStore()}
}

var (
	errUnknown = errors.New("no such application credential")
	errWrong   = errors.New("wrong secret")
	errEnded   = errors.New("the application credential has ended")
)

// Get loads a credential; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.AppCredential, error) {
	return s.store.get(ctx, s.db, id)
}

// ByName finds a user's credential; NotFound.
func (s *Service) ByName(ctx context.Context, userID, name string) (*identity.AppCredential, error) {
	list, err := s.List(ctx, listing.Query{Limit: 1}.And("user_id", listing.Eq, userID).And("name", listing.Eq, name))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(name)
	}
	return list[0], nil
}

// List loads a page of credentials.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.AppCredential, error) {
	return s.store.list(ctx, s.db, q)
}

// Verify checks a secret. c is nil when no such credential exists: the work is
// the same. Unauthenticated in every bad case.
func (s *Service) Verify(ctx context.Context, c *identity.AppCredential, secret string) error {
	hash := ""
	if c != nil {
		hash = c.SecretHash
	}
	v, err := s.hasher.Check(ctx, hash, secret)
	if err != nil {
		return err
	}
	why := error(nil)
	switch {
	case c == nil:
		why = errUnknown
	case !v.OK:
		why = errWrong
	case !c.ExpiresAt.IsZero() && !s.clock.Now().Before(c.ExpiresAt):
		why = errEnded
	}
	if why != nil {
		return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
	}
	return nil
}

// Create adds a credential with the given secret. allowed are the roles its
// maker's token has. Invalid: a role that is not among them. Conflict: the name
// is taken.
func (s *Service) Create(ctx context.Context, c identity.AppCredential, secret string, allowed []identity.Named) (*identity.AppCredential, error) {
	for _, r := range c.Roles {
		if !slices.ContainsFunc(allowed, func(a identity.Named) bool { return a.ID == r.ID }) {
			return nil, fault.Invalidf("Invalid application credential: Could not find role assignment with role: %s, user or group: %s, project, domain, or system: %s.",
				r.ID, c.UserID, c.ProjectID)
		}
	}
	hash, err := s.hasher.Hash(ctx, secret)
	if err != nil {
		return nil, err
	}
	c.ID, c.SecretHash, c.CreatedAt = id.Hex(), hash, s.clock.Now()
	given := slices.Clone(c.Rules)
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		c.Rules = slices.Clone(given)
		if err := s.store.insert(ctx, tx, &c); err != nil {
			if fault.Is(err, fault.Conflict) {
				return fault.Conflictf("Conflict occurred attempting to store application_credential - Duplicate entry found with name %s.", c.Name).Because(err)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("create", "application_credential", c.ID))
	})
	return &c, err
}

// Delete removes a credential; its tokens end.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			if fault.Is(err, fault.NotFound) {
				return notFound(id)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "application_credential", id),
			identity.Revocation{Subject: identity.SubjectAppCred, Key: id})
	})
}

// Rules loads a page of access rules.
func (s *Service) Rules(ctx context.Context, q listing.Query) ([]*identity.AccessRule, error) {
	return s.store.listRules(ctx, s.db, q)
}

// Rule loads a user's access rule; NotFound.
func (s *Service) Rule(ctx context.Context, user, id string) (*identity.AccessRule, error) {
	list, err := s.Rules(ctx, listing.Query{}.And("id", listing.Eq, id).And("user_id", listing.Eq, user))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.NotFoundf("Could not find Access Rule: %s.", id)
	}
	return list[0], nil
}

// DeleteRule removes an access rule. Forbidden: a credential uses it.
func (s *Service) DeleteRule(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		err := s.store.rules.Delete(ctx, tx, id)
		if fault.Is(err, fault.Conflict) {
			return fault.Forbiddenf("The access rule %s is in use by an application credential.", id).Because(err)
		}
		if err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "access_rule", id))
	})
}
