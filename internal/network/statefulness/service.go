package statefulness

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

// Service is default statefulness behind the API. Safe for concurrent use.
type Service struct{ records *records.Records }

// New makes the service.
func New(r *records.Records) *Service { return &Service{r} }

// Create says it for a project, or for all; Conflict when it has been said.
func (s *Service) Create(ctx context.Context, item *network.Statefulness, record event.Record) error {
	item.CreatedAt = s.records.Clock.Now()
	err := s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.records.Statefulness.Insert(ctx, tx, item); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) {
		whose := item.ProjectID
		if whose == "" {
			whose = "system-wide"
		}
		return fault.Conflictf("A security group default statefulness setting already exists for project '%s'.", whose).With("SecurityGroupDefaultStatefulnessAlreadyExists")
	}
	return err
}

// Update changes it; nil leaves it.
func (s *Service) Update(ctx context.Context, id string, stateful *bool, record event.Record) (item *network.Statefulness, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if item, err = s.records.Statefulness.Lock(ctx, tx, id); err != nil {
			return err
		}
		if stateful != nil {
			item.Stateful = *stateful
			if err := s.records.SetStateful(ctx, tx, id, item.Stateful); err != nil {
				return err
			}
		}
		return outbox.Write(ctx, tx, record)
	})
	return item, err
}

// Delete takes it back: what is said for all, or upstream's default, holds again.
func (s *Service) Delete(ctx context.Context, id string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Statefulness.Lock(ctx, tx, id); err != nil {
			return err
		}
		if err := s.records.Statefulness.Delete(ctx, tx, id); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
