package store

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Account implements objectstore.Store.
func (s *Store) Account(ctx context.Context, name string) (*objectstore.Account, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	a, err := readAccount(db, name)
	if err != nil {
		return nil, err
	}
	if !a.found {
		return nil, noAccount(name)
	}
	return &a.Account, nil
}

func noAccount(name string) error { return fault.NotFoundf("The account %s does not exist", name) }

// ChangeAccount implements objectstore.Store.
func (s *Store) ChangeAccount(ctx context.Context, name string, change func(*objectstore.Account) error, e event.Record) (*objectstore.Account, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if err := checkName("account", name); err != nil {
		return nil, err
	}
	var out *objectstore.Account
	err := s.change(ctx, []string{name}, false, func(t *tx) error {
		a, err := t.liveAccount(name)
		if err != nil {
			return err
		}
		t.addAccount(a)
		if change != nil {
			edited := a.Account
			if err := change(&edited); err != nil {
				return err
			}
			a.Headers = edited.Headers
			a.ChangedAt, a.changed = t.now(), true
		}
		t.record(e)
		out = &a.Account
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteAccount implements objectstore.Store.
func (s *Store) DeleteAccount(ctx context.Context, name string, e event.Record) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.change(ctx, []string{name}, false, func(t *tx) error {
		a, err := t.account(name)
		switch {
		case err != nil:
			return err
		case !a.found:
			return noAccount(name)
		case a.Deleted:
			return fault.Conflictf("The account %s is deleted", name)
		}
		a.Deleted, a.changed = true, true
		a.ChangedAt = t.now()
		t.record(e)
		return t.batch.Set(accountKey(reapFamily, name), nil, nil)
	})
}

// Accounts implements objectstore.Store.
func (s *Store) Accounts(ctx context.Context, after string, limit int) ([]string, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	return names(db, accountFamily, after, limit)
}

// names lists what lies behind a family byte.
func names(db pebble.Reader, family byte, after string, limit int) (out []string, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: append(accountKey(family, after), 0), UpperBound: []byte{family + 1}})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		out = append(out, string(it.Key()[1:]))
	}
	return out, it.Close()
}

// Container implements objectstore.Store.
func (s *Store) Container(ctx context.Context, account, name string) (*objectstore.Container, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	_, c, err := s.find(ctx, account, name)
	if err != nil {
		return nil, err
	}
	return &c.Container, nil
}

// find gives a container that can be read.
func (s *Store) find(ctx context.Context, account, name string) (*pebble.DB, *containerRow, error) {
	db, err := s.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, err := readContainer(db, account, name)
	if err != nil {
		return nil, nil, err
	}
	if !c.found {
		return nil, nil, noContainer(name)
	}
	return db, c, refuseDeleted(db, account)
}

// refuseDeleted hides what is in an account that waits for the reaper.
func refuseDeleted(db pebble.Reader, account string) error {
	_, closer, err := db.Get(accountKey(reapFamily, account))
	if err == nil {
		return firstError(closer.Close(), noAccount(account))
	}
	return absent(err)
}

// PutContainer implements objectstore.Store.
func (s *Store) PutContainer(ctx context.Context, account, name string, change func(*objectstore.Container, bool) error, e event.Record) (out *objectstore.Container, created bool, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, false, err
	}
	defer s.gate.leave()
	if err := checkKey(objectstore.Key{Account: account, Container: name, Name: "-"}); err != nil {
		return nil, false, err
	}
	err = s.change(ctx, []string{account}, false, func(t *tx) error {
		if _, err := t.liveAccount(account); err != nil {
			return err
		}
		c, err := t.container(account, name)
		if err != nil {
			return err
		}
		if created = !c.found; created {
			t.addContainer(c)
		}
		if err := t.changeContainer(c, change, created); err != nil {
			return err
		}
		t.record(e)
		out = &c.Container
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return out, created, nil
}

func (t *tx) changeContainer(c *containerRow, change func(*objectstore.Container, bool) error, created bool) error {
	if change != nil {
		edited := c.Container
		if err := change(&edited, created); err != nil {
			return err
		}
		if edited.Versioning == objectstore.Unversioned && c.Versioning != objectstore.Unversioned {
			return fault.Conflictf("The versioning of a container can be suspended, and not ended")
		}
		c.Headers, c.Versioning = edited.Headers, edited.Versioning
	}
	c.ChangedAt, c.changed = t.now(), true
	return nil
}

// DeleteContainer implements objectstore.Store.
func (s *Store) DeleteContainer(ctx context.Context, account, name string, e event.Record) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.change(ctx, []string{account}, false, func(t *tx) error {
		c, err := t.container(account, name)
		switch {
		case err != nil:
			return err
		case c.account.Deleted:
			return noAccount(account)
		case !c.found:
			return noContainer(name)
		case c.Objects > 0 || c.Versions > 0:
			return fault.Conflictf("The container %s is not empty", name)
		}
		t.dropContainer(c)
		t.record(e)
		return nil
	})
}

func (t *tx) dropContainer(c *containerRow) {
	c.found, c.changed = false, true
	c.account.Containers--
	c.account.moved = true
}

// newNumber is a container's number in keys.
func newNumber() uint64 { return binary.BigEndian.Uint64(id.Bytes(numberSize)) }
