package store

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Withdraw implements objectstore.Store.
func (s *Store) Withdraw(ctx context.Context, k objectstore.Key, check func(*objectstore.Object) error, e event.Record) (d objectstore.Deletion, err error) {
	if err := s.gate.enter(); err != nil {
		return objectstore.Deletion{}, err
	}
	defer s.gate.leave()
	if err := checkKey(k); err != nil {
		return d, err
	}
	err = s.change(ctx, []string{k.Account}, false, func(t *tx) (err error) {
		d = objectstore.Deletion{}
		c, err := t.liveContainer(k.Account, k.Container)
		if err != nil {
			return notGone(err)
		}
		d, err = t.withdraw(c, k, check)
		t.record(e)
		return err
	})
	return d, err
}

func (t *tx) withdraw(c *containerRow, k objectstore.Key, check func(*objectstore.Object) error) (objectstore.Deletion, error) {
	switch {
	case k.Version == "" && c.Versioning != objectstore.Suspended:
		return t.deleteCurrent(c, k.Name, check, false)
	case k.Version == objectstore.NullVersion:
		o, err := version(t.db, c, k)
		if err != nil {
			return objectstore.Deletion{}, err
		}
		if o != nil {
			return t.deleteVersion(c, k, true, check)
		}
	case k.Version != "":
		return t.deleteVersion(c, k, true, check)
	}
	return t.setAside(c, k.Name, check)
}

// setAside leaves a name without a current object: a version stays among the
// versions, what was never one goes.
func (t *tx) setAside(c *containerRow, name string, check func(*objectstore.Object) error) (d objectstore.Deletion, err error) {
	cur, err := current(t.db, c, name)
	if err != nil {
		return d, err
	}
	if cur == nil || expired(cur, t.s.Clock.Now()) {
		return d, noObject(name)
	}
	if check != nil {
		if err := check(&cur.Object); err != nil {
			return d, err
		}
	}
	w := batchWriter{batch: t.batch}
	d.Removed = &cur.Object
	if cur.null() {
		return d, firstError(t.destroy(&w, c, cur), w.err)
	}
	t.shelve(&w, c, cur)
	return d, w.err
}

// Restore implements objectstore.Store.
func (s *Store) Restore(ctx context.Context, k objectstore.Key, check func(*objectstore.Account, *objectstore.Container, *objectstore.Object) error, e event.Record) (out *objectstore.Object, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if err := checkKey(k); err != nil {
		return nil, err
	}
	err = s.change(ctx, []string{k.Account}, false, func(t *tx) error {
		c, err := t.liveContainer(k.Account, k.Container)
		if err != nil {
			return notGone(err)
		}
		o, err := s.lookup(t.db, c, k)
		if err != nil {
			return err
		}
		if check != nil {
			if err := t.check(objectstore.Put{Key: k, Check: check}, c); err != nil {
				return err
			}
		}
		out = &o.Object
		t.record(e)
		return t.restore(c, o)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// restore makes a version the current object of its name, for good: when it was
// to go is forgotten.
func (t *tx) restore(c *containerRow, o *record) error {
	cur, err := current(t.db, c, o.Name)
	if err != nil {
		return err
	}
	w := batchWriter{batch: t.batch}
	if o.Current {
		t.unexpire(&w, c, o)
		o.DeleteAt = time.Time{}
		w.set(nameKey(objectFamily, c.number, o.Name), o.encode())
		return w.err
	}
	if cur != nil {
		t.shelve(&w, c, cur)
	}
	o.DeleteAt = time.Time{}
	t.raise(&w, c, o)
	return w.err
}
