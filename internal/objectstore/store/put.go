package store

import (
	"context"
	"io"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Put implements objectstore.Store.
func (s *Store) Put(ctx context.Context, p objectstore.Put, body io.Reader) (out *objectstore.Object, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if err := checkPut(p); err != nil {
		return nil, err
	}
	if _, _, err := s.find(ctx, p.Account, p.Container); err != nil { // before the body is read
		return nil, err
	}
	err = s.receive(ctx, p, body, func(r *received) error {
		return s.change(ctx, []string{p.Account}, false, func(t *tx) (err error) {
			out, err = t.putChecked(p, r)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func checkPut(p objectstore.Put) error {
	if p.Version != "" {
		return fault.Internalf("an object is put under a version")
	}
	return checkKey(p.Key)
}

// putChecked decides once more and writes the object.
func (t *tx) putChecked(p objectstore.Put, r *received) (*objectstore.Object, error) {
	c, err := t.liveContainer(p.Account, p.Container)
	if err != nil {
		return nil, err
	}
	w := batchWriter{batch: t.batch}
	if p.Check != nil {
		if err := t.check(p, c); err != nil {
			return nil, err
		}
	}
	room, err := t.place(&w, c, p.Name)
	if err != nil {
		return nil, err
	}
	o := &record{stamp: room.next}
	o.Key, o.Current = p.Key, true
	if o.Version = objectstore.NullVersion; c.Versioning == objectstore.Versioned {
		o.Version = versionID(o.stamp)
	}
	o.Size, o.ETag, o.ContentType, o.DeleteAt = r.size, r.etag, p.ContentType, p.DeleteAt
	o.Headers, o.ListedSize, o.ListedETag = p.Headers, p.ListedSize, p.ListedETag
	o.CreatedAt = clock.FromMicros(int64(o.stamp))
	o.ModifiedAt = o.CreatedAt
	t.put(&w, c, o, r)
	t.record(p.Event)
	return &o.Object, w.err
}

func (t *tx) check(p objectstore.Put, c *containerRow) error {
	cur, err := current(t.db, c, p.Name)
	if err != nil {
		return err
	}
	var shown *objectstore.Object
	if cur != nil && !expired(cur, t.s.Clock.Now()) {
		shown = &cur.Object
	}
	a, cc := c.account.Account, c.Container
	return p.Check(&a, &cc, shown)
}

// Delete implements objectstore.Store.
func (s *Store) Delete(ctx context.Context, k objectstore.Key, check func(*objectstore.Object) error, e event.Record) (d objectstore.Deletion, err error) {
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
		if k.Version == "" {
			d, err = t.deleteCurrent(c, k.Name, check, false)
		} else {
			d, err = t.deleteVersion(c, k, false, check)
		}
		t.record(e)
		return err
	})
	return d, err
}

// deleteCurrent deletes a name as the versioning of its container says.
func (t *tx) deleteCurrent(c *containerRow, name string, check func(*objectstore.Object) error, late bool) (d objectstore.Deletion, err error) {
	cur, err := current(t.db, c, name)
	if err != nil {
		return d, err
	}
	gone := cur == nil || !late && expired(cur, t.s.Clock.Now())
	if gone && c.Versioning == objectstore.Unversioned {
		return d, noObject(name)
	}
	if !gone {
		d.Removed = &cur.Object
	}
	if check != nil {
		if err := check(d.Removed); err != nil {
			return d, err
		}
	}
	w := batchWriter{batch: t.batch}
	if c.Versioning == objectstore.Unversioned {
		return d, firstError(t.destroy(&w, c, cur), w.err)
	}
	room, err := t.place(&w, c, name)
	if err != nil {
		return d, err
	}
	m := &record{stamp: room.next}
	m.Account, m.Container, m.Name, m.Version = c.Account, c.Name, name, objectstore.NullVersion
	if c.Versioning == objectstore.Versioned {
		m.Version = versionID(m.stamp)
	}
	m.DeleteMarker = true
	m.CreatedAt = clock.FromMicros(int64(m.stamp))
	m.ModifiedAt = m.CreatedAt
	t.keep(&w, c, m)
	c.count(0, 0, 1, 0)
	m.Current = true
	d.Marker = &m.Object
	return d, w.err
}

// deleteVersion removes exactly one version; with keep those that are left stay as they are.
func (t *tx) deleteVersion(c *containerRow, k objectstore.Key, keep bool, check func(*objectstore.Object) error) (d objectstore.Deletion, err error) {
	o, err := version(t.db, c, k)
	if err != nil {
		return d, err
	}
	if o == nil {
		return d, noObject(k.Name)
	}
	cur, err := current(t.db, c, k.Name)
	if err != nil {
		return d, err
	}
	if check != nil {
		if err := check(&o.Object); err != nil {
			return d, err
		}
	}
	next, err := t.stood(c, o, cur)
	if err != nil {
		return d, err
	}
	w := batchWriter{batch: t.batch}
	if err := t.destroy(&w, c, o); err != nil {
		return d, err
	}
	if next && !keep {
		if err := t.promote(&w, c, k.Name, o.stamp); err != nil {
			return d, err
		}
	}
	d.Removed = &o.Object
	return d, w.err
}
