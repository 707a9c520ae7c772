package records

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/wire"
)

// provider reads one within the change.
func (w *writer) provider(uuid string) (placement.Provider, error) {
	p, err := scanProvider(w.tx.QueryRowContext(w.ctx, "SELECT "+providerColumns+" FROM placement_providers WHERE uuid = $1", uuid))
	if errors.Is(err, sql.ErrNoRows) {
		return p, noProvider(uuid)
	}
	return p, db.Translate(err, "read provider")
}

// expect reads a provider and compares its generation, unless that is nil.
func (w *writer) expect(uuid string, generation *int64, text string) (placement.Provider, error) {
	p, err := w.provider(uuid)
	if err == nil && generation != nil && *generation != p.Generation {
		err = fault.New(fault.Conflict, "%s", text).With(placement.CodeConcurrentUpdate)
	}
	return p, err
}

// CreateProvider adds a provider; UUID, Name and Parent count.
func (s *Store) CreateProvider(ctx context.Context, p placement.Provider) (placement.Provider, error) {
	err := s.write(ctx, func(w *writer) (err error) {
		p, err = w.createProvider(p)
		return err
	})
	return p, err
}

func actionFailed(action, reason string) error {
	return fault.Invalidf("Object action %s failed because: %s", action, reason).With(wire.CodeAction)
}

func (w *writer) createProvider(p placement.Provider) (placement.Provider, error) {
	if p.Name == "" {
		return p, actionFailed("create", "name is required")
	}
	p.Root, p.Generation = p.UUID, 0
	if p.Parent == p.UUID {
		return p, actionFailed("create", "parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent.")
	}
	if p.Parent != "" {
		parent, err := w.provider(p.Parent)
		if fault.Is(err, fault.NotFound) {
			return p, actionFailed("create", "parent provider UUID does not exist.")
		}
		if err != nil {
			return p, err
		}
		p.Root = parent.Root
	}
	if err := w.unique(p); err != nil {
		return p, err
	}
	if err := w.exec("insert provider", "INSERT INTO placement_providers (uuid, name, parent, root, generation, revision, created_at, updated_at) VALUES ($1, $2, $3, $4, 0, $5, $6, $6)",
		p.UUID, p.Name, p.Parent, p.Root, w.revision, w.now); err != nil {
		return p, err
	}
	if err := w.exec("forget removal", "DELETE FROM placement_gone WHERE uuid = $1", p.UUID); err != nil {
		return p, err
	}
	if err := w.audit("create", "resource_provider", p.UUID); err != nil {
		return p, err
	}
	return w.provider(p.UUID)
}

// unique refuses a UUID or name that another provider has.
func (w *writer) unique(p placement.Provider) error {
	var uuid, name string
	err := w.tx.QueryRowContext(w.ctx, "SELECT uuid, name FROM placement_providers WHERE uuid = $1 OR name = $2 LIMIT 1", p.UUID, p.Name).Scan(&uuid, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return db.Translate(err, "look for provider")
	}
	what := "name: " + p.Name
	if uuid == p.UUID {
		what = "uuid: " + p.UUID
	}
	return fault.Conflictf("Conflicting resource provider %s already exists.", what).With(placement.CodeDuplicateName)
}

// Parentage is what an update says about a provider's parent.
type Parentage struct {
	Set  bool
	UUID string // empty: none
	Free bool   // may leave a parent it has (since 1.37)
}

// UpdateProvider renames a provider and moves it within the forest.
func (s *Store) UpdateProvider(ctx context.Context, uuid, name string, parent Parentage) (p placement.Provider, err error) {
	err = s.write(ctx, func(w *writer) error {
		old, err := w.provider(uuid)
		if err != nil {
			return err
		}
		if name != old.Name {
			if err := w.rename(uuid, name); err != nil {
				return err
			}
		}
		if parent.Set || old.Parent == "" {
			if err := w.move(old, parent); err != nil {
				return err
			}
		}
		w.touch(uuid)
		if err := w.flush(); err != nil { // before the row is read again
			return err
		}
		if err := w.audit("update", "resource_provider", uuid); err != nil {
			return err
		}
		p, err = w.provider(uuid)
		return err
	})
	return p, err
}

func (w *writer) rename(uuid, name string) error {
	var other string
	err := w.tx.QueryRowContext(w.ctx, "SELECT uuid FROM placement_providers WHERE name = $1", name).Scan(&other)
	if err == nil && other != uuid {
		return fault.Conflictf("Conflicting resource provider %s already exists.", name).With(placement.CodeDuplicateName)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return db.Translate(err, "look for provider")
	}
	return w.exec("rename provider", "UPDATE placement_providers SET name = $1 WHERE uuid = $2", name, uuid)
}

// move hangs a provider and all below it elsewhere.
func (w *writer) move(old placement.Provider, to Parentage) error {
	if !to.Set || to.UUID == old.Parent {
		return nil
	}
	root := old.UUID
	if to.UUID == "" {
		if !to.Free {
			return actionFailed("update", "un-parenting a provider is not currently allowed.")
		}
	} else {
		parent, err := w.provider(to.UUID)
		if fault.Is(err, fault.NotFound) {
			return actionFailed("create", "parent provider UUID does not exist.")
		}
		if err != nil {
			return err
		}
		if old.Parent != "" && !to.Free {
			return actionFailed("update", "re-parenting a provider is not currently allowed.")
		}
		root = parent.Root
	}
	below, err := w.subtree(old)
	if err != nil {
		return err
	}
	if slices.Contains(below, to.UUID) {
		return actionFailed("update", "creating loop in the provider tree is not allowed.")
	}
	for _, uuid := range below {
		w.touch(uuid)
		if err := w.exec("move provider", "UPDATE placement_providers SET root = $1 WHERE uuid = $2", root, uuid); err != nil {
			return err
		}
	}
	return w.exec("move provider", "UPDATE placement_providers SET parent = $1 WHERE uuid = $2", to.UUID, old.UUID)
}

// subtree lists a provider and all below it.
func (w *writer) subtree(top placement.Provider) ([]string, error) {
	children := map[string][]string{}
	err := each(w.ctx, w.tx, "read tree", "SELECT uuid, parent FROM placement_providers WHERE root = $1", func(rows *sql.Rows) error {
		var uuid, parent string
		err := rows.Scan(&uuid, &parent)
		children[parent] = append(children[parent], uuid)
		return err
	}, top.Root)
	out := []string{top.UUID}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out, err
}

// DeleteProvider removes a provider that nothing is allocated of and nothing
// hangs below.
func (s *Store) DeleteProvider(ctx context.Context, uuid string) error {
	return s.write(ctx, func(w *writer) error { return w.deleteProvider(uuid) })
}

func (w *writer) deleteProvider(uuid string) error {
	if _, err := w.provider(uuid); err != nil {
		return err
	}
	if n, err := w.count("SELECT COUNT(*) FROM placement_providers WHERE parent = $1", uuid); err != nil || n > 0 {
		return orMissing(err, fault.Conflictf("Unable to delete parent resource provider %s: It has child resource providers.", uuid).With(placement.CodeCannotDeleteParent))
	}
	if n, err := w.count("SELECT COUNT(*) FROM placement_allocations WHERE provider = $1", uuid); err != nil || n > 0 {
		return orMissing(err, fault.Conflictf("Unable to delete resource provider %s: Resource provider has allocations.", uuid).With(placement.CodeProviderInUse))
	}
	for _, statement := range []string{
		"DELETE FROM placement_inventories WHERE provider = $1",
		"DELETE FROM placement_provider_traits WHERE provider = $1",
		"DELETE FROM placement_provider_aggregates WHERE provider = $1",
		"DELETE FROM placement_providers WHERE uuid = $1",
	} {
		if err := w.exec("delete provider", statement, uuid); err != nil {
			return err
		}
	}
	if err := w.exec("remember removal", "INSERT INTO placement_gone (uuid, revision) VALUES ($1, $2) ON CONFLICT (uuid) DO UPDATE SET revision = excluded.revision", uuid, w.revision); err != nil {
		return err
	}
	return w.audit("delete", "resource_provider", uuid)
}

func (w *writer) count(query string, args ...any) (n int64, err error) {
	err = w.tx.QueryRowContext(w.ctx, query, args...).Scan(&n)
	return n, db.Translate(err, "count")
}
