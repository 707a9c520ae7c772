package identityproviders

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
)

// Protocol loads a protocol of an identity provider; NotFound.
func (s *Service) Protocol(ctx context.Context, provider, protocol string) (*identity.Protocol, error) {
	r, err := s.store.protocolRow(ctx, s.db, provider, protocol)
	if err != nil {
		return nil, err
	}
	return r.protocol(), nil
}

// Protocols lists the protocols of an identity provider by id: none, if there
// is no such provider.
func (s *Service) Protocols(ctx context.Context, provider string) ([]*identity.Protocol, error) {
	return s.store.ofProvider(ctx, s.db, provider)
}

// mapped checks that the mapping of a protocol exists; Invalid.
func (s *Service) mapped(ctx context.Context, mapping string) error {
	_, err := s.mappings.Get(ctx, mapping)
	if fault.Is(err, fault.NotFound) {
		return fault.Invalidf("Invalid mapping id: %s", mapping)
	}
	return err
}

// AddProtocol adds a protocol with an id of the caller's. Invalid: no such
// mapping. NotFound: no such provider. Conflict: the provider has one of this id.
func (s *Service) AddProtocol(ctx context.Context, p identity.Protocol) (*identity.Protocol, error) {
	if err := s.mapped(ctx, p.MappingID); err != nil {
		return nil, err
	}
	r := protocolRow{id.Hex(), p.IdentityProviderID, p.ID, p.MappingID, p.RemoteIDAttribute, clock.Micros(s.clock.Now())}
	err := s.write(ctx, "create", "protocol", p.ID, func(tx *db.Tx) ([]identity.Revocation, error) {
		if _, err := s.store.get(ctx, tx, p.IdentityProviderID); err != nil {
			return nil, err
		}
		return nil, s.store.protocols.Insert(ctx, tx, &r)
	})
	if fault.Is(err, fault.Conflict) {
		err = fault.Conflictf("Conflict occurred attempting to store federation_protocol - Duplicate entry found with ID %s.", p.ID).Because(err)
	}
	return &p, err
}

// UpdateProtocol gives a protocol another mapping and, unless it is nil,
// another attribute. Invalid: no such mapping. NotFound.
func (s *Service) UpdateProtocol(ctx context.Context, p identity.Protocol) (*identity.Protocol, error) {
	if err := s.mapped(ctx, p.MappingID); err != nil {
		return nil, err
	}
	err := s.write(ctx, "update", "protocol", p.ID, func(tx *db.Tx) ([]identity.Revocation, error) {
		r, err := s.store.protocolRow(ctx, tx, p.IdentityProviderID, p.ID)
		if err != nil {
			return nil, err
		}
		r.MappingID = p.MappingID
		if p.RemoteIDAttribute != nil {
			r.RemoteIDAttribute = p.RemoteIDAttribute
		}
		p = *r.protocol()
		return nil, s.store.protocols.Update(ctx, tx, r)
	})
	return &p, err
}

// DeleteProtocol removes a protocol with the names by which it knew users, and ends
// its tokens: one that is made anew under its id may mean others by the same names.
// NotFound.
func (s *Service) DeleteProtocol(ctx context.Context, provider, protocol string) error {
	return s.write(ctx, "delete", "protocol", protocol, func(tx *db.Tx) ([]identity.Revocation, error) {
		r, err := s.store.protocolRow(ctx, tx, provider, protocol)
		if err != nil {
			return nil, err
		}
		if err := s.store.forgetNames(ctx, tx, provider, protocol); err != nil {
			return nil, err
		}
		gone := []identity.Revocation{{Subject: identity.SubjectProtocol, Key: identity.ProtocolKey(provider, protocol)}}
		return gone, s.store.protocols.Delete(ctx, tx, r.ID)
	})
}
