package flavors

import (
	"context"
	"maps"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

// Flavors is the service behind the API. Safe for concurrent use.
type Flavors struct {
	store store
	db    *db.DB
	clock clock.Clock
	kept  *db.Kept[string, *compute.Flavor]
}

// New makes the service.
func New(d *db.DB, c clock.Clock) *Flavors {
	return &Flavors{store: store{d}, db: d, clock: c, kept: db.Keep[string, *compute.Flavor]("compute_flavors")}
}

// Get loads a flavor that a project may use; others look missing. An empty
// project may use all.
func (s *Flavors) Get(ctx context.Context, flavorID, project string) (*compute.Flavor, error) {
	known, err := s.kept.Get(s.db, flavorID, func() (*compute.Flavor, error) { return s.store.Get(ctx, flavorID) })
	if err != nil {
		return nil, err
	}
	f := new(*known)
	f.ExtraSpecs = maps.Clone(known.ExtraSpecs)
	if f.Public || project == "" {
		return f, nil
	}
	ok, err := s.store.mayUse(ctx, flavorID, project)
	if err == nil && !ok {
		err = notFound(flavorID)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func notFound(flavorID string) error {
	return fault.NotFoundf("Flavor %s could not be found.", flavorID).With("FlavorNotFound")
}

// Create adds a flavor. Conflict when its id or name is taken.
func (s *Flavors) Create(ctx context.Context, f *compute.Flavor, record event.Record) error {
	if f.ID == "" {
		f.ID = id.New()
	}
	f.CreatedAt = clock.Micros(s.clock.Now())
	record.Object = f.ID
	return s.db.Write(ctx, func(tx *db.Tx) error {
		for column, value := range map[string]string{"id": f.ID, "name": f.Name} {
			n, err := flavorRows.Count(ctx, tx, listing.Term{Column: column, Values: []any{value}})
			if err != nil {
				return err
			}
			if n > 0 {
				return fault.Conflictf("Flavor with %s %s already exists.", map[string]string{"id": "ID", "name": "name"}[column], value)
			}
		}
		if err := flavorRows.Insert(ctx, tx, toRow(f)); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// Describe changes the description, the only thing of a flavor that can change.
func (s *Flavors) Describe(ctx context.Context, flavorID, text string, described bool, record event.Record) (*compute.Flavor, error) {
	return s.change(ctx, flavorID, record, func(f *compute.Flavor) error {
		f.Description, f.Described = text, described
		return nil
	})
}

// SetSpecs adds or replaces extra specs.
func (s *Flavors) SetSpecs(ctx context.Context, flavorID string, specs map[string]string, record event.Record) (*compute.Flavor, error) {
	return s.change(ctx, flavorID, record, func(f *compute.Flavor) error {
		maps.Copy(f.ExtraSpecs, specs)
		if len(f.ExtraSpecs) > compute.MaxExtraSpecs {
			return fault.Invalidf("A flavor has at most %d extra specs.", compute.MaxExtraSpecs)
		}
		return nil
	})
}

// DropSpec removes one extra spec; NotFound when the flavor lacks it.
func (s *Flavors) DropSpec(ctx context.Context, flavorID, key string, record event.Record) error {
	_, err := s.change(ctx, flavorID, record, func(f *compute.Flavor) error {
		if _, ok := f.ExtraSpecs[key]; !ok {
			return noSpec(flavorID, key)
		}
		delete(f.ExtraSpecs, key)
		return nil
	})
	return err
}

func noSpec(flavorID, key string) error {
	return fault.NotFoundf("Flavor %s has no extra specs with key %s.", flavorID, key)
}

func (s *Flavors) change(ctx context.Context, flavorID string, record event.Record, fn func(*compute.Flavor) error) (f *compute.Flavor, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if f, err = s.store.update(ctx, tx, flavorID, fn); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return f, err
}

// Delete removes a flavor with its access entries. Servers keep their copy.
func (s *Flavors) Delete(ctx context.Context, flavorID string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := flavorRows.Delete(ctx, tx, flavorID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// Grant lets a project use a private flavor; Conflict when it may already.
func (s *Flavors) Grant(ctx context.Context, flavorID, project string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		err := accessRows.Insert(ctx, tx, &accessRow{flavorID, project})
		if fault.Is(err, fault.Conflict) {
			return fault.Conflictf("Flavor access already exists for flavor %s and project %s combination.", flavorID, project)
		}
		if err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// Revoke takes a project's access back; NotFound when it had none.
func (s *Flavors) Revoke(ctx context.Context, flavorID, project string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := accessRows.DeleteWhere(ctx, tx, listing.Term{Column: "flavor", Values: []any{flavorID}}, listing.Term{Column: "project_id", Values: []any{project}})
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFoundf("Flavor access not found for %s / %s combination.", flavorID, project)
		}
		return outbox.Write(ctx, tx, record)
	})
}
