package metadefs

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
)

// Metadefs is the feature. Safe for concurrent use.
type Metadefs struct {
	db    *db.DB
	clock clock.Clock
}

// New makes the feature.
func New(d *db.DB, c clock.Clock) *Metadefs { return &Metadefs{d, c} }

// knownTypes are the resource types that need no association to be listed.
var knownTypes = []string{"OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server", "OS::Trove::Instance"}

func (s *Metadefs) create(ctx context.Context, d draft, record event.Record) (*Namespace, error) {
	n := d.Namespace
	n.ID, n.CreatedAt = id.New(), clock.Micros(s.clock.Now())
	n.UpdatedAt = n.CreatedAt
	made := s.make(n.ID, d.items)
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := namespaces.Insert(ctx, tx, &n); err != nil {
			return taken(err, "The metadata definition namespace=%s already exists.", n.Name)
		}
		if err := definitions.Insert(ctx, tx, made...); err != nil {
			return taken(err, "A definition in namespace %s is there twice.", n.Name)
		}
		return outbox.Write(ctx, tx, record)
	})
	return &n, err
}

// make mints rows for definitions.
func (s *Metadefs) make(namespace string, items []item) []*definition {
	now := clock.Micros(s.clock.Now())
	out := make([]*definition, len(items))
	for i, one := range items {
		out[i] = &definition{ID: id.New(), NamespaceID: namespace, Kind: one.kind.name, Name: one.name, Body: db.J(one.doc), CreatedAt: now, UpdatedAt: now}
	}
	return out
}

func taken(err error, text string, args ...any) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf(text, args...).Because(err)
	}
	return err
}

// update gives a namespace the members of a draft; what it contains stays.
func (s *Metadefs) update(ctx context.Context, n *Namespace, d draft, record event.Record) (*Namespace, error) {
	changed := d.Namespace
	changed.ID, changed.CreatedAt, changed.UpdatedAt = n.ID, n.CreatedAt, clock.Micros(s.clock.Now())
	return &changed, s.db.Write(ctx, func(tx *db.Tx) error {
		if err := namespaces.Update(ctx, tx, &changed); err != nil {
			return taken(err, "The metadata definition namespace=%s already exists.", changed.Name)
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Metadefs) remove(ctx context.Context, n *Namespace, record event.Record) error {
	return s.change(ctx, n, record, func(tx *db.Tx) error {
		return namespaces.Delete(ctx, tx, n.ID)
	})
}

// change does something to a namespace that must not be protected.
func (s *Metadefs) change(ctx context.Context, n *Namespace, record event.Record, do func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		now, err := namespaces.GetForUpdate(ctx, tx, n.ID)
		if err != nil {
			return err
		}
		if now.Protected {
			return fault.Forbiddenf("Metadata definition namespace %s is protected and cannot be deleted.", n.Name)
		}
		if err := do(tx); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// add writes definitions into a namespace; instead removes those of the kind first.
func (s *Metadefs) add(ctx context.Context, n *Namespace, items []item, instead *kind, record event.Record) ([]*definition, error) {
	made := s.make(n.ID, items)
	return made, s.db.Write(ctx, func(tx *db.Tx) error {
		if instead != nil {
			if err := clear(ctx, tx, n.ID, *instead); err != nil {
				return err
			}
		}
		for _, d := range made {
			if err := definitions.Insert(ctx, tx, d); err != nil {
				return taken(err, "A metadata definition %s with name=%s already exists in namespace=%s.", d.Kind, d.Name, n.Name)
			}
		}
		return outbox.Write(ctx, tx, record)
	})
}

// replace gives a definition a new name and body.
func (s *Metadefs) replace(ctx context.Context, n *Namespace, d *definition, name string, doc document, record event.Record) (*definition, error) {
	changed := *d
	changed.Name, changed.Body, changed.UpdatedAt = name, db.J(doc), clock.Micros(s.clock.Now())
	return &changed, s.db.Write(ctx, func(tx *db.Tx) error {
		if err := definitions.Update(ctx, tx, &changed); err != nil {
			return taken(err, "A metadata definition %s with name=%s already exists in namespace=%s.", d.Kind, name, n.Name)
		}
		return outbox.Write(ctx, tx, record)
	})
}
