package users

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

// Hasher makes and checks password hashes.
type Hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Check(ctx context.Context, hash, password string) (identity.Verdict, error)
}

// Domains finds domains.
type Domains interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
}

// Config is what a Service needs.
type Config struct {
	DB         *db.DB
	Clock      clock.Clock
	Changes    identity.Changes
	Hasher     Hasher
	Domains    Domains
	Compliance identity.Compliance
}

// Service keeps users. Safe for concurrent use.
type Service struct {
	Config
	store store
}

// New makes the service.
func New(cfg Config) *Service { return &Service{cfg, newStore()} }

// Get loads a user; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.User, error) {
	return s.store.get(ctx, s.DB, id)
}

// ByName finds a user in a domain, one whom an identity provider brought excepted; NotFound.
func (s *Service) ByName(ctx context.Context, domainID, name string) (*identity.User, error) {
	list, err := s.store.list(ctx, s.DB, listing.Query{Limit: 1}.And("domain_id", listing.Eq, domainID).And("name", listing.Eq, name), named)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(name)
	}
	return list[0], nil
}

// List loads a page of users.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.User, error) {
	return s.store.list(ctx, s.DB, q)
}

// InGroup loads the users of a group.
func (s *Service) InGroup(ctx context.Context, group string, q listing.Query) ([]*identity.User, error) {
	return s.store.list(ctx, s.DB, q, inGroup(group))
}

// Create adds a user; password may be nil. NotFound: the domain. Invalid: a
// password against the rules. Conflict: the name is taken.
func (s *Service) Create(ctx context.Context, u identity.User, password *string) (*identity.User, error) {
	if u.ID == "" {
		u.ID = id.Hex()
	}
	now := s.Clock.Now()
	u.CreatedAt = now
	u.Name = strings.TrimSpace(u.Name)
	if d, err := s.Domains.Get(ctx, u.DomainID); err != nil || !d.IsDomain {
		return nil, fault.NotFoundf("Could not find domain: %s.", u.DomainID).Because(err)
	}
	if password != nil {
		hash, err := s.hashNew(ctx, *password)
		if err != nil {
			return nil, err
		}
		u.Password = identity.Password{Hash: hash, CreatedAt: now, ExpiresAt: s.Compliance.ExpiryOf(&u, now)}
	}
	if s.Compliance.DisableUserDaysInactive > 0 {
		u.LastActive = now
	}
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Insert(ctx, tx, toRow(&u)); err != nil {
			return taken(err, u.Name)
		}
		if err := s.store.known(ctx, tx, u.ID, u.Federated); err != nil {
			return err
		}
		return s.Changes.Changed(ctx, tx, identity.Change("create", "user", u.ID))
	})
	return &u, err
}

func taken(err error, name string) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Conflict occurred attempting to store user - Duplicate entry found with name %s.", name).Because(err)
	}
	return err
}

// Change is an update of a user by an administrator; nil members stay.
type Change struct {
	Name, DefaultProjectID *string
	Enabled                *bool
	Options                *identity.UserOptions
	Password               *string
	Extra                  map[string]any
	Federated              *[]identity.FederatedIdentity
}

// Update changes a user. The history of passwords does not bind administrators. A new password, or disabling, ends the user's tokens
// and forgets failed logins.
func (s *Service) Update(ctx context.Context, id string, c Change) (*identity.User, error) {
	hash := ""
	if c.Password != nil {
		var err error
		if hash, err = s.hashNew(ctx, *c.Password); err != nil {
			return nil, err
		}
	}
	now := s.Clock.Now()
	var out *identity.User
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		u, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		out = u
		var ended []identity.Revocation
		if c.Name != nil {
			u.Name = strings.TrimSpace(*c.Name)
		}
		if c.DefaultProjectID != nil {
			u.DefaultProjectID = *c.DefaultProjectID
		}
		if c.Options != nil {
			u.Options = *c.Options
		}
		u.Extra = merge(u.Extra, c.Extra)
		if c.Enabled != nil {
			if u.Enabled && !*c.Enabled {
				ended = append(ended, identity.Revocation{Subject: identity.SubjectUser, Key: id})
			}
			if !u.Enabled && *c.Enabled { // an administrator's word that all is well
				u.Password.Failures, u.LastActive = 0, now
			}
			u.Enabled = *c.Enabled
		}
		if c.Password != nil {
			if err := s.store.remember(ctx, tx, id, u.Password.Hash, u.Password.CreatedAt, s.Compliance.UniqueLastPasswordCount); err != nil {
				return err
			}
			u.Password = identity.Password{Hash: hash, CreatedAt: now, ExpiresAt: s.Compliance.ExpiryOf(u, now)}
			ended = append(ended, identity.Revocation{Subject: identity.SubjectUser, Key: id})
		}
		if err := s.store.table.Update(ctx, tx, toRow(u)); err != nil {
			return taken(err, u.Name)
		}
		if c.Federated != nil {
			if err := s.store.forget(ctx, tx, id); err != nil {
				return err
			}
			if err := s.store.known(ctx, tx, id, *c.Federated); err != nil {
				return err
			}
			ended = append(ended, identity.Revocation{Subject: identity.SubjectUser, Key: id}) // a name that was taken away ends its logins
		}
		return s.Changes.Changed(ctx, tx, identity.Change("update", "user", id), ended...)
	})
	return out, err
}

func merge(old, change map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range old {
		out[k] = v
	}
	for k, v := range change {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// Delete removes a user with memberships, assignments and credentials.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			if fault.Is(err, fault.NotFound) {
				return notFound(id)
			}
			return err
		}
		return s.Changes.Changed(ctx, tx, identity.Change("delete", "user", id), identity.Revocation{Subject: identity.SubjectUser, Key: id})
	})
}
