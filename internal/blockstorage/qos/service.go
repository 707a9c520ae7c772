package qos

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
)

// Types keeps which type refers to which specs.
type Types interface {
	// SetQos makes a type refer to specs, or to none. NotFound of the type;
	// Invalid when it refers to others.
	SetQos(ctx context.Context, tx *db.Tx, typeID, qosID string) error
	// OfQos lists the types that refer to specs.
	OfQos(ctx context.Context, q db.Querier, qosID string) ([]*blockstorage.Type, error)
}

// Qos is the service behind the API. Safe for concurrent use.
type Qos struct {
	store store
	clock clock.Clock
	types Types
}

// New makes the service.
func New(d *db.DB, c clock.Clock, t Types) *Qos { return &Qos{store{d}, c, t} }

// Specs gives the consumer and the limits of specs, for those who enforce them.
func (s *Qos) Specs(ctx context.Context, id string) (consumer string, specs map[string]string, err error) {
	r, err := s.store.Get(ctx, id)
	if err != nil {
		return "", nil, err
	}
	return r.Consumer, r.Specs.V, nil
}

// defaultConsumer is who enforces specs that do not say.
const defaultConsumer = "back-end"

func checkConsumer(word string) error {
	if slices.Contains([]string{"front-end", "back-end", "both"}, word) {
		return nil
	}
	return fault.Invalidf("Invalid qos specs: Valid consumer of QoS specs are: ['front-end', 'back-end', 'both']")
}

// take moves the consumer out of specs as clients send them.
func take(specs map[string]string, consumer string) (string, error) {
	if word, ok := specs["consumer"]; ok {
		consumer = word
		delete(specs, "consumer")
	}
	if err := checkConsumer(consumer); err != nil {
		return "", err
	}
	for k, v := range specs {
		if k == "" || len(k) > 255 || len(v) > 255 {
			return "", fault.Invalidf("Invalid qos specs: keys have 1 to 255 characters, values at most 255.")
		}
	}
	return consumer, nil
}

func (s *Qos) create(ctx context.Context, r *spec, record event.Record) error {
	r.ID, r.CreatedAt = id.New(), clock.Micros(s.clock.Now())
	record.Object = r.ID
	err := s.write(ctx, record, func(tx *db.Tx) error { return rows.Insert(ctx, tx, r) })
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("QoS Specs %s already exists.", r.Name)
	}
	return err
}

// write runs f with an audit record.
func (s *Qos) write(ctx context.Context, record event.Record, f func(tx *db.Tx) error) error {
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// change lets f change specs and writes them.
func (s *Qos) change(ctx context.Context, id string, record event.Record, f func(r *spec) error) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		r, err := found(rows.GetForUpdate(ctx, tx, id))(id)
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
		return rows.Update(ctx, tx, r)
	})
}

// remove deletes specs; by force also those that types refer to.
func (s *Qos) remove(ctx context.Context, id string, force bool, record event.Record) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		if _, err := found(rows.GetForUpdate(ctx, tx, id))(id); err != nil {
			return err
		}
		users, err := s.types.OfQos(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(users) > 0 && !force {
			return fault.Invalidf("Qos specs still in use.")
		}
		for _, t := range users {
			if err := s.types.SetQos(ctx, tx, t.ID, ""); err != nil {
				return err
			}
		}
		return rows.Delete(ctx, tx, id)
	})
}

// tie makes a type refer to specs, or takes that back.
func (s *Qos) tie(ctx context.Context, id, typeID string, on bool, record event.Record) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		if _, err := found(rows.GetForUpdate(ctx, tx, id))(id); err != nil {
			return err
		}
		if on {
			return s.types.SetQos(ctx, tx, typeID, id)
		}
		users, err := s.types.OfQos(ctx, tx, id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(users, func(t *blockstorage.Type) bool { return t.ID == typeID }) {
			return nil // upstream answers that it is done
		}
		return s.types.SetQos(ctx, tx, typeID, "")
	})
}

// untie takes all references to specs back.
func (s *Qos) untie(ctx context.Context, id string, record event.Record) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		if _, err := found(rows.GetForUpdate(ctx, tx, id))(id); err != nil {
			return err
		}
		users, err := s.types.OfQos(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, t := range users {
			if err := s.types.SetQos(ctx, tx, t.ID, ""); err != nil {
				return err
			}
		}
		return nil
	})
}
