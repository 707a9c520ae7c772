package addressscopes

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

// Service is address scopes behind the API. Safe for concurrent use.
type Service struct{ records *records.Records }

// New makes the service.
func New(r *records.Records) *Service { return &Service{r} }

// Create adds a scope.
func (s *Service) Create(ctx context.Context, scope *network.AddressScope, shared bool, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		s.records.Begin(&scope.Standard)
		if err := s.records.Scopes.Insert(ctx, tx, scope); err != nil {
			return err
		}
		return s.share(ctx, tx, scope, shared, record)
	})
}

func (s *Service) share(ctx context.Context, tx *db.Tx, scope *network.AddressScope, shared bool, record event.Record) error {
	if shared {
		if err := s.records.ShareWithAll(ctx, tx, network.TypeAddressScope, scope.Standard, network.AccessShared, true); err != nil {
			return err
		}
	}
	fresh, err := s.records.Scopes.Find(ctx, tx, scope.ID)
	if err != nil {
		return err
	}
	*scope = *fresh
	return outbox.Write(ctx, tx, record)
}

// Update changes a scope. One that everybody shares stays so.
func (s *Service) Update(ctx context.Context, scopeID string, name *string, shared *bool, record event.Record) (scope *network.AddressScope, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if scope, err = s.records.Scopes.Lock(ctx, tx, scopeID); err != nil {
			return err
		}
		if shared != nil && !*shared && scope.SharedWith.Includes("") {
			return fault.Invalidf("Unable to update address scope %s : Shared address scope can't be unshared.", scopeID).With("AddressScopeUpdateError")
		}
		if name != nil {
			scope.Name = *name
		}
		if err := s.records.Scopes.Update(ctx, tx, s.records, scope); err != nil {
			return err
		}
		return s.share(ctx, tx, scope, shared != nil && *shared, record)
	})
	return scope, err
}

// Delete removes a scope; Conflict while subnet pools are in it.
func (s *Service) Delete(ctx context.Context, scopeID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Scopes.Lock(ctx, tx, scopeID); err != nil {
			return err
		}
		n, err := s.records.Pools.Count(ctx, tx, records.Is("scope_id", scopeID))
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Conflictf("Unable to complete operation on address scope %s. There are one or more subnet pools in use on the address scope.", scopeID).With("AddressScopeInUse")
		}
		if err := s.records.Scopes.Delete(ctx, tx, scopeID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
