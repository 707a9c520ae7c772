package identityproviders

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

// Domains finds and makes the domains of providers.
type Domains interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
	// Add makes a domain whose ID and CreatedAt are set.
	Add(ctx context.Context, tx *db.Tx, p identity.Project) error
}

// Mappings finds what protocols refer to.
type Mappings interface {
	Get(ctx context.Context, id string) (*identity.Mapping, error)
}

// Service keeps identity providers and their protocols. Safe for concurrent use.
type Service struct {
	db       *db.DB
	clock    clock.Clock
	changes  identity.Changes
	domains  Domains
	mappings Mappings
	store    store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, domains Domains, m Mappings) *Service {
	return &Service{d, c, ch, domains, m, newStore()}
}

// Get loads an identity provider; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.IdentityProvider, error) {
	return s.store.get(ctx, s.db, id)
}

// ByRemoteID finds the identity provider that has this name elsewhere; NotFound.
func (s *Service) ByRemoteID(ctx context.Context, remote string) (*identity.IdentityProvider, error) {
	r, err := s.store.names.Get(ctx, s.db, remote)
	if fault.Is(err, fault.NotFound) {
		return nil, missing(remote)
	}
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, r.ProviderID)
}

// List loads all identity providers, by id.
func (s *Service) List(ctx context.Context) ([]*identity.IdentityProvider, error) {
	return s.Page(ctx, listing.Query{})
}

// Page loads a page of identity providers.
func (s *Service) Page(ctx context.Context, q listing.Query) ([]*identity.IdentityProvider, error) {
	return s.store.list(ctx, s.db, q)
}

func (s *Service) write(ctx context.Context, action, kind, object string, fn func(tx *db.Tx) ([]identity.Revocation, error)) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		ended, err := fn(tx)
		if err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, kind, object), ended...)
	})
}

// Create adds an identity provider with an id of the caller's. Without a domain
// it gets one of its own, named by its id, as upstream makes it. Conflict: the
// id or a remote id is taken. NotFound: no such domain.
func (s *Service) Create(ctx context.Context, p identity.IdentityProvider) (*identity.IdentityProvider, error) {
	p.CreatedAt = s.clock.Now()
	slices.Sort(p.RemoteIDs)
	own := identity.Project{Enabled: true, IsDomain: true, CreatedAt: p.CreatedAt, Description: "Auto generated federated domain for Identity Provider: " + p.ID}
	if p.DomainID == "" {
		own.ID = id.Hex()
		own.Name, p.DomainID = own.ID, own.ID
	} else if d, err := s.domains.Get(ctx, p.DomainID); fault.Is(err, fault.NotFound) || err == nil && !d.IsDomain {
		return nil, fault.NotFoundf("Could not find domain: %s.", p.DomainID)
	} else if err != nil {
		return nil, err
	}
	err := s.write(ctx, "create", "identity_provider", p.ID, func(tx *db.Tx) ([]identity.Revocation, error) {
		if own.ID != "" {
			if err := s.domains.Add(ctx, tx, own); err != nil {
				return nil, err
			}
		}
		err := s.store.providers.Insert(ctx, tx, toRow(&p))
		if fault.Is(err, fault.Conflict) {
			err = fault.Conflictf("Conflict occurred attempting to store identity_provider - Duplicate entry: %s.", p.ID).Because(err)
		}
		if err != nil {
			return nil, err
		}
		return nil, s.store.name(ctx, tx, &p)
	})
	return &p, err
}

// ended are the tokens of those for whom a provider vouched.
func ended(id string) []identity.Revocation {
	return []identity.Revocation{{Subject: identity.SubjectIdentityProvider, Key: id}}
}

// Update changes an identity provider; fn edits it inside the transaction, but
// not its id or domain. Disabling ends tokens and memberships for a time. Conflict: a remote id is taken. NotFound.
func (s *Service) Update(ctx context.Context, id string, fn func(*identity.IdentityProvider)) (*identity.IdentityProvider, error) {
	var out *identity.IdentityProvider
	err := s.write(ctx, "update", "identity_provider", id, func(tx *db.Tx) (gone []identity.Revocation, err error) {
		if _, err := s.store.providers.GetForUpdate(ctx, tx, id); fault.Is(err, fault.NotFound) {
			return nil, missing(id)
		} else if err != nil {
			return nil, err
		}
		p, err := s.store.get(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		enabled := p.Enabled
		fn(p)
		slices.Sort(p.RemoteIDs)
		if enabled && !p.Enabled {
			gone = ended(id)
			if err := s.store.endMemberships(ctx, tx, id); err != nil {
				return nil, err
			}
		}
		out = p
		if err := s.store.providers.Update(ctx, tx, toRow(p)); err != nil {
			return nil, err
		}
		return gone, s.store.name(ctx, tx, p)
	})
	return out, err
}

// Delete removes an identity provider with its protocols and ends its tokens.
// The domain stays. NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.write(ctx, "delete", "identity_provider", id, func(tx *db.Tx) ([]identity.Revocation, error) {
		if _, err := s.store.get(ctx, tx, id); err != nil {
			return nil, err
		}
		return ended(id), s.store.providers.Delete(ctx, tx, id)
	})
}
