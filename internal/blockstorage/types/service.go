package types

import (
	"context"
	"maps"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

// DefaultName is the type that is made at start.
const DefaultName = "__DEFAULT__"

// Types is the service behind the API. Safe for concurrent use.
type Types struct {
	store   store
	db      *db.DB
	clock   clock.Clock
	renamed Renamed

	defaults *db.Kept[string, *blockstorage.Type] // by project
	names    *db.Kept[struct{}, map[string]string]
}

// Renamed follows a type to its new name, in the transaction that gives it.
type Renamed func(ctx context.Context, tx *db.Tx, from, to string) error

var _ blockstorage.Types = (*Types)(nil)

// New makes the service.
func New(d *db.DB, c clock.Clock, renamed Renamed) *Types {
	const types, defaults = "blockstorage_types", "blockstorage_default_types"
	return &Types{store: store{d}, db: d, clock: c, renamed: renamed, defaults: db.Keep[string, *blockstorage.Type](types, defaults),
		names: db.Keep[struct{}, map[string]string](types)}
}

// Prepare makes the default type when there is none.
func (s *Types) Prepare(ctx context.Context) error {
	_, err := s.store.byName(ctx, DefaultName)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	t := &blockstorage.Type{ID: id.New(), Name: DefaultName, Description: "Default Volume Type", Public: true, CreatedAt: clock.Micros(s.clock.Now())}
	err = s.db.Write(ctx, func(tx *db.Tx) error { return typeRows.Insert(ctx, tx, toRow(t)) })
	if fault.Is(err, fault.Conflict) {
		return nil // another server made it
	}
	return err
}

// Resolve finds a type by id or name among those a project may use.
func (s *Types) Resolve(ctx context.Context, word, project string, admin bool) (*blockstorage.Type, error) {
	if word == "" {
		return s.Default(ctx, project)
	}
	t, err := s.store.Get(ctx, word)
	if fault.Is(err, fault.NotFound) {
		t, err = s.store.byName(ctx, word)
	}
	if err != nil {
		return nil, err
	}
	if t.Public || admin {
		return t, nil
	}
	ok, err := s.store.mayUse(ctx, t.ID, project)
	if err == nil && !ok {
		err = blockstorage.TypeNotFound(word)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Default is what a project gets when it names no type.
func (s *Types) Default(ctx context.Context, project string) (*blockstorage.Type, error) {
	t, err := s.defaults.Get(s.db, project, func() (*blockstorage.Type, error) {
		own, err := s.store.defaultOf(ctx, project)
		if err != nil {
			return nil, err
		}
		if own != "" {
			return s.store.Get(ctx, own)
		}
		return s.store.byName(ctx, DefaultName)
	})
	if err != nil {
		return nil, err
	}
	own := *t
	own.ExtraSpecs = maps.Clone(t.ExtraSpecs)
	return &own, nil
}

// Names maps ids to names. Callers do not change it.
func (s *Types) Names(ctx context.Context, tx *db.Tx) (map[string]string, error) {
	var q db.Querier = s.db
	if tx != nil {
		q = tx
	}
	return s.names.Get(q, struct{}{}, func() (map[string]string, error) { return NamesIn(ctx, q) })
}

func taken(name string) error {
	return fault.Conflictf("Volume Type %s already exists.", name)
}

// create adds a type.
func (s *Types) create(ctx context.Context, t *blockstorage.Type, record event.Record) error {
	t.ID, t.CreatedAt = id.New(), clock.Micros(s.clock.Now())
	if t.Name = strings.TrimSpace(t.Name); t.Name == "" {
		return fault.Invalidf("Volume type name can not be empty.")
	}
	record.Object = t.ID
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := typeRows.Insert(ctx, tx, toRow(t)); err != nil {
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
func (s *Types) change(ctx context.Context, typeID string, record event.Record, f func(t *blockstorage.Type) error) (*blockstorage.Type, error) {
	var out *blockstorage.Type
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := typeRows.GetForUpdate(ctx, tx, typeID)
		if fault.Is(err, fault.NotFound) {
			return blockstorage.TypeNotFound(typeID)
		}
		if err != nil {
			return err
		}
		out = r.volumeType()
		if err := f(out); err != nil {
			return err
		}
		if err := typeRows.Update(ctx, tx, toRow(out)); err != nil {
			return err
		}
		if out.Name != r.Name {
			if err := s.renamed(ctx, tx, r.Name, out.Name); err != nil {
				return err
			}
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) && out != nil {
		return nil, taken(out.Name)
	}
	return out, err
}

// remove deletes a type that no volume has and that is nobody's default.
func (s *Types) remove(ctx context.Context, typeID string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := typeRows.GetForUpdate(ctx, tx, typeID)
		if fault.Is(err, fault.NotFound) {
			return blockstorage.TypeNotFound(typeID)
		}
		if err != nil {
			return err
		}
		n, err := inUse(ctx, tx, typeID)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Invalidf("Target volume type is still in use.")
		}
		uses, err := defaultRows.Count(ctx, tx, listing.Term{Column: "type_id", Values: []any{typeID}})
		if err != nil {
			return err
		}
		if r.Name == DefaultName || uses > 0 {
			return fault.Invalidf("The volume type %s is a default volume type and cannot be deleted.", typeID)
		}
		if err := typeRows.Delete(ctx, tx, typeID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// grant lets a project use a private type; withdraw takes that back.
func (s *Types) grant(ctx context.Context, typeID, project string, record event.Record) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := accessRows.Insert(ctx, tx, &accessRow{typeID + " " + project, typeID, project}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Volume type access for %s / %s combination already exists.", typeID, project)
	}
	return err
}

func (s *Types) withdraw(ctx context.Context, typeID, project string, record event.Record) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := accessRows.Delete(ctx, tx, typeID+" "+project); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Volume type access not found for %s / %s combination.", typeID, project)
	}
	return err
}

// setDefault gives a project a default of its own; an empty type takes it away.
func (s *Types) setDefault(ctx context.Context, project, typeID string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if typeID == "" {
			if _, err := defaultRows.DeleteWhere(ctx, tx, listing.Term{Column: "project_id", Values: []any{project}}); err != nil {
				return err
			}
		} else if err := defaultRows.Upsert(ctx, tx, &defaultRow{project, typeID}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// SetQos makes a type refer to QoS specs, or to none.
func (s *Types) SetQos(ctx context.Context, tx *db.Tx, typeID, qosID string) error {
	t, err := found(typeRows.GetForUpdate(ctx, tx, typeID))(typeID)
	if err != nil {
		return err
	}
	if qosID != "" && t.QosID != "" && t.QosID != qosID {
		return fault.Invalidf("Invalid volume type: Type %s is already associated with another qos specs: %s", typeID, t.QosID)
	}
	return typeRows.Set(ctx, tx, typeID, map[string]any{"qos_id": qosID})
}

// OfQos lists the types that refer to QoS specs.
func (s *Types) OfQos(ctx context.Context, q db.Querier, qosID string) ([]*blockstorage.Type, error) {
	rows, err := typeRows.Find(ctx, q, listing.Term{Column: "qos_id", Values: []any{qosID}})
	out := make([]*blockstorage.Type, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.volumeType())
	}
	return out, err
}

func (s *Types) now() int64 { return clock.Micros(s.clock.Now()) }

// setEncryption lets f change how volumes of a type are encrypted, which is
// fixed as soon as there is one.
func (s *Types) setEncryption(ctx context.Context, typeID, verb string, record event.Record, f func(t *blockstorage.Type) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		t, err := found(typeRows.GetForUpdate(ctx, tx, typeID))(typeID)
		if err != nil {
			return err
		}
		n, err := inUse(ctx, tx, typeID)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Invalidf("Cannot %s encryption specs. Volume type in use.", verb)
		}
		if err := f(t); err != nil {
			return err
		}
		if err := typeRows.Update(ctx, tx, toRow(t)); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
