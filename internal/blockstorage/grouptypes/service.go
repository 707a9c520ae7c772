package grouptypes

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
)

// Types is the service behind the API. Safe for concurrent use.
type Types struct {
	store store
	db    *db.DB
	clock clock.Clock
}

// New makes the service.
func New(d *db.DB, c clock.Clock) *Types { return &Types{store{d}, d, c} }

// Prepare makes the type of consistency groups when there is none.
func (s *Types) Prepare(ctx context.Context) error {
	_, err := s.store.byName(ctx, blockstorage.ConsistencyType)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	yes := blockstorage.Yes
	t := &blockstorage.GroupType{ID: id.New(), Name: blockstorage.ConsistencyType, Description: "Default group type for migrating cgsnapshot", Public: true,
		Specs: map[string]*string{blockstorage.ConsistentSpec: &yes}, CreatedAt: clock.Micros(s.clock.Now())}
	err = s.db.Write(ctx, func(tx *db.Tx) error { return rows.Insert(ctx, tx, toRow(t)) })
	if fault.Is(err, fault.Conflict) {
		return nil // another server made it
	}
	return err
}

// Resolve finds a group type by id or name.
func (s *Types) Resolve(ctx context.Context, word string) (*blockstorage.GroupType, error) {
	t, err := s.store.Get(ctx, word)
	if fault.Is(err, fault.NotFound) {
		return s.store.byName(ctx, word)
	}
	return t, err
}

func taken(name string) error { return fault.Conflictf("Group Type %s already exists.", name) }

func (s *Types) create(ctx context.Context, t *blockstorage.GroupType, record event.Record) error {
	t.ID, t.CreatedAt = id.New(), clock.Micros(s.clock.Now())
	if t.Name = strings.TrimSpace(t.Name); t.Name == "" {
		return fault.Invalidf("Group type name can not be empty.")
	}
	record.Object = t.ID
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := rows.Insert(ctx, tx, toRow(t)); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) {
		return taken(t.Name)
	}
	return err
}

// change lets f change a type and writes it.
func (s *Types) change(ctx context.Context, typeID string, record event.Record, f func(t *blockstorage.GroupType) error) (out *blockstorage.GroupType, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if out, err = found(rows.GetForUpdate(ctx, tx, typeID))(typeID); err != nil {
			return err
		}
		if err := f(out); err != nil {
			return err
		}
		if err := rows.Update(ctx, tx, toRow(out)); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) && out != nil {
		err = taken(out.Name)
	}
	return out, err
}

// remove deletes a type that no group has.
func (s *Types) remove(ctx context.Context, typeID string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := found(rows.GetForUpdate(ctx, tx, typeID))(typeID); err != nil {
			return err
		}
		n, err := inUse(ctx, tx, typeID)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Invalidf("Target group type is still in use.")
		}
		if err := rows.Delete(ctx, tx, typeID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
