package records

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
)

// Name is a resource class or trait. CreatedAt is zero for the standard ones.
type Name struct {
	Name      string
	CreatedAt time.Time
}

// vocabulary is a table of names that users made.
type vocabulary struct{ list, find, insert, remove string }

var (
	classNames = vocabulary{
		list:   "SELECT name, created_at FROM placement_classes ORDER BY created_at, name",
		find:   "SELECT created_at FROM placement_classes WHERE name = $1",
		insert: "INSERT INTO placement_classes (name, created_at) VALUES ($1, $2)",
		remove: "DELETE FROM placement_classes WHERE name = $1",
	}
	traitNames = vocabulary{
		list:   "SELECT name, created_at FROM placement_traits ORDER BY created_at, name",
		find:   "SELECT created_at FROM placement_traits WHERE name = $1",
		insert: "INSERT INTO placement_traits (name, created_at) VALUES ($1, $2)",
		remove: "DELETE FROM placement_traits WHERE name = $1",
	}
)

func (v vocabulary) all(ctx context.Context, q db.Querier, standard []string) ([]Name, error) {
	out := make([]Name, 0, len(standard))
	for _, name := range standard {
		out = append(out, Name{Name: name})
	}
	err := each(ctx, q, "read names", v.list, func(rows *sql.Rows) error {
		var name string
		var created int64
		err := rows.Scan(&name, &created)
		out = append(out, Name{name, clock.FromMicros(created)})
		return err
	})
	return out, err
}

func (v vocabulary) get(ctx context.Context, q db.Querier, name string, standard map[string]bool) (n Name, ok bool, err error) {
	if standard[name] {
		return Name{Name: name}, true, nil
	}
	if !placement.Custom(name) {
		return n, false, nil
	}
	var created int64
	err = q.QueryRowContext(ctx, v.find, name).Scan(&created)
	if errors.Is(err, sql.ErrNoRows) {
		return n, false, nil
	}
	return Name{name, clock.FromMicros(created)}, err == nil, db.Translate(err, "look for name")
}

// ensure adds a name unless it is there, and tells whether it did.
func (w *writer) ensure(v vocabulary, name, kind string, standard map[string]bool) (bool, error) {
	if _, ok, err := v.get(w.ctx, w.tx, name, standard); ok || err != nil {
		return false, err
	}
	if err := w.exec("insert name", v.insert, name, w.now); err != nil {
		return false, err
	}
	return true, w.audit("create", kind, name)
}

func (s *Store) hasClass(ctx context.Context, q db.Querier, name string) (bool, error) {
	_, ok, err := classNames.get(ctx, q, name, s.standardClasses)
	return ok, err
}

// Classes lists all resource classes, the standard ones first.
func (s *Store) Classes(ctx context.Context) ([]Name, error) {
	return classNames.all(ctx, s.db, placement.StandardClasses())
}

// Class finds a resource class; NotFound when there is none.
func (s *Store) Class(ctx context.Context, name string) (Name, error) {
	n, ok, err := classNames.get(ctx, s.db, name, s.standardClasses)
	if err == nil && !ok {
		err = fault.NotFoundf("No such resource class %s.", name)
	}
	return n, err
}

// EnsureClass adds a custom resource class and tells whether it was new.
func (s *Store) EnsureClass(ctx context.Context, name string) (created bool, err error) {
	err = s.write(ctx, func(w *writer) (err error) {
		created, err = w.ensure(classNames, name, "resource_class", s.standardClasses)
		return err
	})
	return created, err
}

// RenameClass gives a custom resource class another name, everywhere.
func (s *Store) RenameClass(ctx context.Context, from, to string) error {
	return s.write(ctx, func(w *writer) error {
		if s.standardClasses[from] {
			return fault.Invalidf("Cannot update standard resource class %s", from)
		}
		if _, ok, err := classNames.get(ctx, w.tx, from, s.standardClasses); err != nil || !ok {
			return orMissing(err, fault.NotFoundf("No such resource class %s.", from))
		}
		if _, ok, err := classNames.get(ctx, w.tx, to, s.standardClasses); err != nil || ok {
			return orMissing(err, fault.Conflictf("Resource class already exists: %s", to))
		}
		if err := w.touchWhere("SELECT provider FROM placement_inventories WHERE class = $1", from); err != nil {
			return err
		}
		for _, statement := range []string{
			"UPDATE placement_classes SET name = $2 WHERE name = $1",
			"UPDATE placement_inventories SET class = $2 WHERE class = $1",
			"UPDATE placement_allocations SET class = $2 WHERE class = $1",
		} {
			if err := w.exec("rename class", statement, from, to); err != nil {
				return err
			}
		}
		return w.audit("update", "resource_class", from)
	})
}

// touchWhere marks the providers that a query names.
func (w *writer) touchWhere(query string, args ...any) error {
	return each(w.ctx, w.tx, "look for providers", query, func(rows *sql.Rows) error {
		var uuid string
		err := rows.Scan(&uuid)
		w.touch(uuid)
		return err
	}, args...)
}

// DeleteClass removes a custom resource class that no inventory has.
func (s *Store) DeleteClass(ctx context.Context, name string) error {
	return s.write(ctx, func(w *writer) error {
		if s.standardClasses[name] {
			return fault.Invalidf("Error in delete resource class: Cannot delete standard resource class %s.", name)
		}
		if _, ok, err := classNames.get(ctx, w.tx, name, s.standardClasses); err != nil || !ok {
			return orMissing(err, fault.NotFoundf("No such resource class %s.", name))
		}
		if n, err := w.count("SELECT COUNT(*) FROM placement_inventories WHERE class = $1", name); err != nil || n > 0 {
			return orMissing(err, fault.Conflictf("Error in delete resource class: Cannot delete resource class %s. Class is in use in inventory.", name))
		}
		if err := w.exec("delete class", classNames.remove, name); err != nil {
			return err
		}
		return w.audit("delete", "resource_class", name)
	})
}

// Traits lists all traits, the standard ones first.
func (s *Store) Traits(ctx context.Context) ([]Name, error) {
	return traitNames.all(ctx, s.db, placement.StandardTraits())
}

// Trait finds a trait; NotFound when there is none.
func (s *Store) Trait(ctx context.Context, name string) (Name, error) {
	n, ok, err := traitNames.get(ctx, s.db, name, s.standardTraits)
	if err == nil && !ok {
		err = fault.NotFoundf("No such trait(s): %s.", name)
	}
	return n, err
}

// EnsureTrait adds a custom trait and tells whether it was new.
func (s *Store) EnsureTrait(ctx context.Context, name string) (created bool, err error) {
	err = s.write(ctx, func(w *writer) (err error) {
		created, err = w.ensure(traitNames, name, "trait", s.standardTraits)
		return err
	})
	return created, err
}

// DeleteTrait removes a custom trait that no provider has.
func (s *Store) DeleteTrait(ctx context.Context, name string) error {
	return s.write(ctx, func(w *writer) error {
		if s.standardTraits[name] {
			return fault.Invalidf("Cannot delete standard trait %s.", name)
		}
		if _, ok, err := traitNames.get(ctx, w.tx, name, s.standardTraits); err != nil || !ok {
			return orMissing(err, fault.NotFoundf("No such trait(s): %s.", name))
		}
		if n, err := w.count("SELECT COUNT(*) FROM placement_provider_traits WHERE trait = $1", name); err != nil || n > 0 {
			return orMissing(err, fault.Conflictf("The trait %s is in use by a resource provider.", name))
		}
		if err := w.exec("delete trait", traitNames.remove, name); err != nil {
			return err
		}
		return w.audit("delete", "trait", name)
	})
}

// checkTraits refuses names of traits that do not exist.
func (s *Store) checkTraits(ctx context.Context, q db.Querier, names []string) error {
	var missing []string
	for _, name := range names {
		_, ok, err := traitNames.get(ctx, q, name, s.standardTraits)
		if err != nil {
			return err
		}
		if !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return noTrait(strings.Join(missing, ", "))
	}
	return nil
}
