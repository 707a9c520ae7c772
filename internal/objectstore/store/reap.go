package store

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/objectstore"
)

// reapBatch is how many objects or versions one commit removes.
const reapBatch = 256

// reap removes what is left of deleted accounts.
func (s *Store) reap(ctx context.Context) error {
	db, err := s.enter(ctx)
	if err != nil {
		return err
	}
	accounts, err := names(db, reapFamily, "", reapBatch)
	for _, account := range accounts {
		err = errors.Join(err, s.reapAccount(ctx, account))
	}
	return err
}

func (s *Store) reapAccount(ctx context.Context, account string) error {
	for {
		db, err := s.enter(ctx)
		if err != nil {
			return err
		}
		list, err := listContainers(db, account, objectstore.Listing{Limit: 1})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return s.forgetAccount(ctx, account)
		}
		if err := s.reapContainer(ctx, account, list[0].Container.Name); err != nil {
			return err
		}
	}
}

func (s *Store) reapContainer(ctx context.Context, account, name string) error {
	after := map[byte][]byte{} // by family: what was removed leaves traces that are slow to skip
	for done := false; !done; {
		err := s.change(ctx, []string{account}, true, func(t *tx) (err error) {
			c, err := t.container(account, name)
			if err != nil || !c.found {
				done = true
				return err
			}
			done, err = t.empty(c, after)
			if err == nil && done {
				t.dropContainer(c)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// empty removes some of a container's objects and versions; done when none are left.
func (t *tx) empty(c *containerRow, after map[byte][]byte) (done bool, err error) {
	w := batchWriter{batch: t.batch}
	for _, family := range []byte{objectFamily, versionFamily} {
		var list []*record
		if list, after[family], err = some(t.db, c, family, after[family]); err != nil {
			return false, err
		}
		for _, o := range list {
			if err := t.destroy(&w, c, o); err != nil {
				return false, err
			}
		}
		if len(list) == reapBatch {
			return false, w.err
		}
	}
	return true, w.err
}

// some reads objects or versions of a container from a key on, and gives the
// key to go on with.
func some(db pebble.Reader, c *containerRow, family byte, from []byte) (out []*record, next []byte, err error) {
	prefix := numberKey(family, c.number)
	if from == nil {
		from = prefix
	}
	next = from
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(prefix)})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok && len(out) < reapBatch; ok = it.Next() {
		name, err := nameOf(it.Key(), 1+numberSize)
		if err != nil {
			return nil, nil, err
		}
		o, err := decodeObject(it.Value(), c.Account, c.Name, name)
		if err != nil {
			return nil, nil, err
		}
		o.Current = family == objectFamily
		out, next = append(out, o), append(append(next[:0:0], it.Key()...), 0)
	}
	return out, next, nil
}

func (s *Store) forgetAccount(ctx context.Context, account string) error {
	return s.change(ctx, []string{account}, false, func(t *tx) error {
		a, err := t.account(account)
		if err != nil || !a.Deleted || a.Containers > 0 {
			return err
		}
		w := batchWriter{batch: t.batch}
		w.delete(accountKey(accountFamily, account))
		w.delete(accountKey(accountCountFamily, account))
		w.delete(accountKey(reapFamily, account))
		return w.err
	})
}
