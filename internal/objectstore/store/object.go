package store

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

func noObject(name string) *fault.Fault {
	return fault.NotFoundf("The object %s does not exist", name)
}

// current reads the current object of a name; nil when there is none.
func current(db pebble.Reader, c *containerRow, name string) (*record, error) {
	value, closer, err := db.Get(nameKey(objectFamily, c.number, name))
	if err != nil {
		return nil, absent(err)
	}
	o, err := decodeObject(value, c.Account, c.Name, name)
	if err := firstError(err, closer.Close()); err != nil {
		return nil, err
	}
	o.Current = true
	return o, nil
}

// newest reads the newest noncurrent version of a name; nil when there is none.
func newest(db pebble.Reader, c *containerRow, name string) (o *record, err error) {
	return newestBut(db, c, name, 0)
}

// newestBut is newest, except for one version.
func newestBut(db pebble.Reader, c *containerRow, name string, but stamp) (o *record, err error) {
	if c.Versions == 0 {
		return nil, nil
	}
	prefix := nameKey(versionFamily, c.number, name)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if o, err = decodeObject(it.Value(), c.Account, c.Name, name); err != nil || o.stamp != but {
			break
		}
		o = nil
	}
	return o, firstError(err, it.Close())
}

// noncurrent reads one noncurrent version; nil when there is none.
func noncurrent(db pebble.Reader, c *containerRow, name, version string) (*record, error) {
	var s stamp
	if version == objectstore.NullVersion {
		b, err := get(db, nameKey(nullFamily, c.number, name))
		if err != nil {
			return nil, absent(err)
		}
		r := newReader(b)
		if s = stamp(r.word()); r.err != nil {
			return nil, r.err
		}
	} else {
		var ok bool
		if s, ok = parseVersion(version); !ok {
			return nil, nil
		}
	}
	value, err := get(db, versionKey(c.number, name, s))
	if err != nil {
		return nil, absent(err)
	}
	o, err := decodeObject(value, c.Account, c.Name, name)
	if err == nil && o.Version != version {
		return nil, nil // the null version has an order too, and it is no identifier
	}
	return o, err
}

// version reads the version that a key names, or the current object: nil when
// there is none.
func version(db pebble.Reader, c *containerRow, k objectstore.Key) (*record, error) {
	o, err := current(db, c, k.Name)
	if err != nil || k.Version == "" || o != nil && o.Version == k.Version {
		return o, err
	}
	return noncurrent(db, c, k.Name, k.Version)
}

func expired(o *record, now time.Time) bool { return !o.DeleteAt.IsZero() && !o.DeleteAt.After(now) }

// lookup is version for those who want bytes: markers and what has expired are
// not found.
func (s *Store) lookup(db pebble.Reader, c *containerRow, k objectstore.Key) (*record, error) {
	o, err := version(db, c, k)
	if err != nil {
		return nil, err
	}
	if o == nil && k.Version == "" {
		if o, err = newest(db, c, k.Name); err != nil {
			return nil, err
		}
		if o != nil && !o.DeleteMarker { // set aside by Withdraw
			o = nil
		}
	}
	switch {
	case o == nil:
		return nil, noObject(k.Name)
	case o.DeleteMarker:
		f := noObject(k.Name).With(objectstore.CodeMarker)
		f.Detail = map[string]any{"version": o.Version}
		return nil, f
	case (k.Version == "" || o.null()) && expired(o, s.Clock.Now()): // a version stays until it is deleted
		return nil, noObject(k.Name)
	}
	return o, nil
}

// Head implements objectstore.Store.
func (s *Store) Head(ctx context.Context, k objectstore.Key) (*objectstore.Object, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, c, err := s.find(ctx, k.Account, k.Container)
	if err != nil {
		return nil, err
	}
	o, err := s.lookup(db, c, k)
	if err != nil {
		return nil, err
	}
	return &o.Object, nil
}

// Open implements objectstore.Store.
func (s *Store) Open(ctx context.Context, k objectstore.Key) (*objectstore.Object, objectstore.Content, error) {
	if err := s.gate.enter(); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	db, c, err := s.find(ctx, k.Account, k.Container)
	if err != nil {
		return nil, nil, err
	}
	for { // until nothing changes under our hands
		o, err := s.lookup(db, c, k)
		if err != nil {
			return nil, nil, err
		}
		b, err := s.openBody(db, c, o)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		return &o.Object, b, nil
	}
}

// ChangeObject implements objectstore.Store.
func (s *Store) ChangeObject(ctx context.Context, k objectstore.Key, change func(*objectstore.Object) error, e event.Record) (out *objectstore.Object, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	err = s.change(ctx, []string{k.Account}, false, func(t *tx) error {
		c, err := t.liveContainer(k.Account, k.Container)
		if err != nil {
			return notGone(err)
		}
		o, err := s.lookup(t.db, c, k)
		if err != nil {
			return err
		}
		edited := o.Object
		if err := change(&edited); err != nil {
			return err
		}
		w := batchWriter{batch: t.batch}
		if o.Current {
			t.unexpire(&w, c, o)
		}
		o.Headers, o.ContentType, o.DeleteAt = edited.Headers, edited.ContentType, edited.DeleteAt
		o.ModifiedAt = clock.FromMicros(max(clock.Micros(o.ModifiedAt)+1, int64(s.now())))
		if o.Current {
			t.expire(&w, c, o)
			w.set(nameKey(objectFamily, c.number, o.Name), o.encode())
		} else {
			w.set(versionKey(c.number, o.Name, o.stamp), o.encode())
		}
		t.record(e)
		out = &o.Object
		return w.err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// notGone says "not found" of a deleted account to those who look for something in it.
func notGone(err error) error {
	if fault.Is(err, fault.Conflict) {
		return fault.NotFoundf("The account does not exist")
	}
	return err
}

// expire and unexpire keep the order of expiry of current objects.
func (t *tx) expire(w *batchWriter, c *containerRow, o *record) {
	if !o.DeleteAt.IsZero() {
		w.set(expiryKey(clock.Micros(o.DeleteAt), c.number, o.Name), expiryValue(c))
	}
}

func (t *tx) unexpire(w *batchWriter, c *containerRow, o *record) {
	if !o.DeleteAt.IsZero() {
		w.delete(expiryKey(clock.Micros(o.DeleteAt), c.number, o.Name))
	}
}

// expiryValue leads back from a container's number to its name.
func expiryValue(c *containerRow) []byte {
	w := writer{layout}
	w.text(c.Account)
	w.text(c.Name)
	return w
}
