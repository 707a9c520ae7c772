package store

import (
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore"
)

// The functions of this file move objects between four places: the current
// object of a name, its noncurrent versions (delete markers among them), its
// body, and the claims on the files of the body. The current object is the newest
// of a name, unless Restore brought it back; a current delete marker is the newest
// of the versions of a name that has no current object.

// removal is what happens to the current object and the null version when a
// name gets something new.
type removal struct {
	cur  *record // as before; nil: none
	next stamp   // for what is new
}

// place makes room for something new under a name: what versions are kept moves
// on, what has been replaced goes.
func (t *tx) place(w *batchWriter, c *containerRow, name string) (removal, error) {
	cur, err := current(t.db, c, name)
	if err != nil {
		return removal{}, err
	}
	r := removal{cur: cur, next: t.s.now()}
	top, err := newest(t.db, c, name)
	if err != nil {
		return r, err
	}
	for _, o := range []*record{cur, top} {
		if o != nil {
			r.next = max(r.next, o.stamp+1, stamp(clock.Micros(o.ModifiedAt))+1)
		}
	}
	if c.Versioning != objectstore.Versioned { // what is new takes the place of the null version
		if err := t.removeNull(w, c, name); err != nil {
			return r, err
		}
		if cur != nil && cur.null() {
			return r, t.destroy(w, c, cur)
		}
	}
	if cur != nil {
		t.shelve(w, c, cur)
	}
	return r, nil
}

// removeNull removes the null version when it is noncurrent.
func (t *tx) removeNull(w *batchWriter, c *containerRow, name string) error {
	if c.Versions == 0 {
		return nil
	}
	o, err := noncurrent(t.db, c, name, objectstore.NullVersion)
	if err != nil || o == nil {
		return err
	}
	return t.destroy(w, c, o)
}

// put writes an object that was made, and what owns its bytes.
func (t *tx) put(w *batchWriter, c *containerRow, o *record, r *received) {
	w.set(nameKey(objectFamily, c.number, o.Name), o.encode())
	t.expire(w, c, o)
	c.count(1, o.Size, 0, o.Size)
	t.own(w, bodyKey(c.number, o.Name, o.stamp), r)
}

// own writes a body and the claims on its files.
func (t *tx) own(w *batchWriter, body []byte, r *received) {
	if len(r.parts) == 0 {
		return
	}
	w.set(body, encodeParts(r.parts))
	for _, p := range r.parts {
		if p.inFile() {
			w.set(fileKey(p.file), claim{size: p.size, sum: r.sums[p.file], body: body}.encode())
		}
	}
}

// shelve makes the current object a noncurrent version.
func (t *tx) shelve(w *batchWriter, c *containerRow, o *record) {
	w.delete(nameKey(objectFamily, c.number, o.Name))
	t.unexpire(w, c, o)
	t.keep(w, c, o)
	c.count(-1, -o.Size, 1, 0)
}

// keep writes a noncurrent version.
func (t *tx) keep(w *batchWriter, c *containerRow, o *record) {
	o.Current = false
	w.set(versionKey(c.number, o.Name, o.stamp), o.encode())
	if o.null() {
		n := writer{layout}
		n.word(uint64(o.stamp))
		w.set(nameKey(nullFamily, c.number, o.Name), n)
	}
}

// forget takes a noncurrent version out of its place.
func (t *tx) forget(w *batchWriter, c *containerRow, o *record) {
	w.delete(versionKey(c.number, o.Name, o.stamp))
	if o.null() {
		w.delete(nameKey(nullFamily, c.number, o.Name))
	}
}

// destroy removes an object or version with its bytes.
func (t *tx) destroy(w *batchWriter, c *containerRow, o *record) error {
	if err := t.disown(w, c, o); err != nil {
		return err
	}
	t.take(w, c, o)
	return nil
}

// take removes an object or version whose bytes are cared for.
func (t *tx) take(w *batchWriter, c *containerRow, o *record) {
	if o.Current {
		w.delete(nameKey(objectFamily, c.number, o.Name))
		t.unexpire(w, c, o)
		c.count(-1, -o.Size, 0, -o.Size)
		return
	}
	t.forget(w, c, o)
	c.count(0, 0, -1, -o.Size)
}

// disown removes a body, and leaves its files to be unlinked.
func (t *tx) disown(w *batchWriter, c *containerRow, o *record) error {
	if o.Size == 0 {
		return nil
	}
	key := bodyKey(c.number, o.Name, o.stamp)
	value, closer, err := t.db.Get(key)
	if err != nil {
		return err
	}
	parts, err := decodeParts(value)
	if err := firstError(err, closer.Close()); err != nil {
		return err
	}
	w.delete(key)
	for _, p := range parts {
		if p.inFile() {
			w.delete(fileKey(p.file))
			t.gone = append(t.gone, p.file)
		}
	}
	return nil
}

// stood tells whether a name showed this: its current object, or delete marker.
func (t *tx) stood(c *containerRow, o, cur *record) (bool, error) {
	if cur != nil || !o.DeleteMarker {
		return o.Current, nil
	}
	top, err := newest(t.db, c, o.Name)
	return top != nil && top.stamp == o.stamp, err
}

// promote makes the newest version current after the current one went, unless
// it is a delete marker.
func (t *tx) promote(w *batchWriter, c *containerRow, name string, but stamp) error {
	o, err := newestBut(t.db, c, name, but)
	if err != nil || o == nil || o.DeleteMarker {
		return err
	}
	t.raise(w, c, o)
	return nil
}

// raise makes a version the current object where there is none.
func (t *tx) raise(w *batchWriter, c *containerRow, o *record) {
	t.forget(w, c, o)
	o.Current = true
	w.set(nameKey(objectFamily, c.number, o.Name), o.encode())
	t.expire(w, c, o)
	c.count(1, o.Size, -1, 0)
}
