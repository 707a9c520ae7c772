package store

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/objectstore"
)

// cursor walks names in order. The methods tell whether it stands on one.
type cursor interface {
	seekGE(name string) bool // the first that is not before name
	seekLT(name string) bool // the last that is before name
	next() bool
	prev() bool
	name() string
}

// visit takes what a walk finds; false ends it.
type visit struct {
	name   func(name string) bool
	subdir func(text string) bool
}

// walk goes through a listing by seeking: a Subdir costs one seek, whatever it
// stands for.
func walk(c cursor, l objectstore.Listing, v visit) {
	w := walker{cursor: c, Listing: l, skip: l.Marker}
	if l.Reverse {
		w.skip = l.EndMarker
	}
	for ok := w.first(); ok; {
		name := w.name()
		if !w.within(name) {
			return
		}
		text, isDir := w.subdir(name)
		switch {
		case !isDir:
			if !v.name(name) {
				return
			}
			ok = w.step()
		case text == w.skip && text != "":
			ok = w.beyond(text)
		default:
			if !v.subdir(text) {
				return
			}
			ok = w.beyond(text)
		}
	}
}

type walker struct {
	cursor
	objectstore.Listing
	skip string
}

// first stands on where a listing begins.
func (w *walker) first() bool {
	if !w.Reverse {
		if w.Marker >= w.Prefix && w.Marker != "" {
			return w.seekGE(behind(w.Marker))
		}
		return w.seekGE(w.Prefix)
	}
	end, bounded := successor(w.Prefix)
	switch {
	case w.Marker != "" && (!bounded || w.Marker < end):
		return w.seekLT(w.Marker)
	case bounded:
		return w.seekLT(end)
	}
	return w.seekLT("\xff") // no UTF-8 is behind it
}

func (w *walker) within(name string) bool {
	if !strings.HasPrefix(name, w.Prefix) {
		return false
	}
	return w.EndMarker == "" || !w.Reverse && name < w.EndMarker || w.Reverse && name > w.EndMarker
}

// subdir gives the Subdir that stands for the name, if one does.
func (w *walker) subdir(name string) (string, bool) {
	if w.Delimiter == "" {
		return "", false
	}
	at := strings.Index(name[len(w.Prefix):], w.Delimiter)
	if at < 0 {
		return "", false
	}
	return name[:len(w.Prefix)+at+len(w.Delimiter)], true
}

func (w *walker) step() bool {
	if w.Reverse {
		return w.prev()
	}
	return w.next()
}

// beyond leaves all names that begin with text.
func (w *walker) beyond(text string) bool {
	if w.Reverse {
		return w.seekLT(text)
	}
	end, ok := successor(text)
	return ok && w.seekGE(end)
}

// behind is where the names after one begin: no name contains a zero byte.
func behind(name string) string { return name + "\x01" }

// successor is the first string behind all that begin with prefix.
func successor(prefix string) (string, bool) {
	k := after([]byte(prefix))
	return string(k), k != nil
}

// keyCursor walks keys that are a prefix, a name and perhaps a zero byte.
type keyCursor struct {
	it     *pebble.Iterator
	prefix []byte
	tail   int // bytes behind the name
}

func newKeyCursor(db pebble.Reader, prefix []byte, tail int) (*keyCursor, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	return &keyCursor{it, prefix, tail}, nil
}

func (c *keyCursor) key(name string) []byte {
	return append(append(make([]byte, 0, len(c.prefix)+len(name)), c.prefix...), name...)
}
func (c *keyCursor) seekGE(name string) bool { return c.it.SeekGE(c.key(name)) }
func (c *keyCursor) seekLT(name string) bool { return c.it.SeekLT(c.key(name)) }
func (c *keyCursor) next() bool              { return c.it.Next() }
func (c *keyCursor) prev() bool              { return c.it.Prev() }
func (c *keyCursor) name() string {
	k := c.it.Key()
	return string(k[len(c.prefix) : len(k)-c.tail])
}

// Containers implements objectstore.Store.
func (s *Store) Containers(ctx context.Context, account string, l objectstore.Listing) (out []objectstore.ContainerEntry, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	a, err := readAccount(db, account)
	if err != nil {
		return nil, err
	}
	if !a.found || a.Deleted {
		return nil, noAccount(account)
	}
	snap := db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	return listContainers(snap, account, l)
}

func listContainers(db pebble.Reader, account string, l objectstore.Listing) (out []objectstore.ContainerEntry, err error) {
	rows, err := newKeyCursor(db, containerKey(containerFamily, account, ""), 0)
	if err != nil {
		return nil, err
	}
	counts, err := newKeyCursor(db, containerKey(containerCountFamily, account, ""), 0)
	if err != nil {
		return nil, errors.Join(err, rows.it.Close())
	}
	defer func() { err = errors.Join(err, rows.it.Close(), counts.it.Close()) }()
	walk(rows, l, visit{
		name: func(name string) bool {
			if !counts.seekGE(name) || counts.name() != name {
				err = errTorn
				return false
			}
			var c *containerRow
			if c, err = decodeContainer(rows.it.Value(), counts.it.Value(), account, name); err != nil {
				return false
			}
			out = append(out, objectstore.ContainerEntry{Container: c.Container})
			return len(out) < l.Limit
		},
		subdir: func(text string) bool {
			out = append(out, objectstore.ContainerEntry{Subdir: text})
			return len(out) < l.Limit
		},
	})
	return out, err
}

// Objects implements objectstore.Store.
func (s *Store) Objects(ctx context.Context, account, container string, l objectstore.Listing) (out []objectstore.ObjectEntry, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, c, err := s.find(ctx, account, container)
	if err != nil {
		return nil, err
	}
	if l.Versions {
		snap := db.NewSnapshot()
		defer func() { err = errors.Join(err, snap.Close()) }()
		return listVersions(snap, c, l)
	}
	return listObjects(db, c, l)
}

func listObjects(db pebble.Reader, c *containerRow, l objectstore.Listing) (out []objectstore.ObjectEntry, err error) {
	rows, err := newKeyCursor(db, numberKey(objectFamily, c.number), 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.it.Error(), rows.it.Close()) }()
	if l.Delimiter == "" {
		out = make([]objectstore.ObjectEntry, 0, min(int64(l.Limit), c.Objects))
	}
	walk(rows, l, visit{
		name: func(name string) bool {
			var o *record
			if o, err = decodeObject(rows.it.Value(), c.Account, c.Name, name); err != nil {
				return false
			}
			o.Current = true
			out = append(out, objectstore.ObjectEntry{Object: o.Object})
			return len(out) < l.Limit
		},
		subdir: func(text string) bool {
			out = append(out, objectstore.ObjectEntry{Subdir: text})
			return len(out) < l.Limit
		},
	})
	return out, err
}

// versionCursor walks names that have a current object or versions. Where it
// stands, both iterators stand on the name or beyond it.
type versionCursor struct {
	objects  *keyCursor
	versions *keyCursor // tail: the zero byte and the order
	at       string
}

func (c *versionCursor) seekGE(name string) bool {
	return c.lower(c.objects.seekGE(name), c.versions.seekGE(name))
}

// lower stands on the first of two names.
func (c *versionCursor) lower(a, b bool) bool {
	switch {
	case a && (!b || c.objects.name() <= c.versions.name()):
		c.at = c.objects.name()
	case b:
		c.at = c.versions.name()
	}
	return a || b
}

func (c *versionCursor) seekLT(name string) bool {
	a, b := c.objects.seekLT(name), c.versions.seekLT(name)
	switch {
	case a && (!b || c.objects.name() >= c.versions.name()):
		c.at = c.objects.name()
	case b:
		c.at = c.versions.name()
	}
	return a || b
}

func (c *versionCursor) next() bool   { return c.seekGE(behind(c.at)) }
func (c *versionCursor) prev() bool   { return c.seekLT(c.at) }
func (c *versionCursor) name() string { return c.at }

func listVersions(db pebble.Reader, row *containerRow, l objectstore.Listing) (out []objectstore.ObjectEntry, err error) {
	objects, err := newKeyCursor(db, numberKey(objectFamily, row.number), 1)
	if err != nil {
		return nil, err
	}
	versions, err := newKeyCursor(db, numberKey(versionFamily, row.number), 1+stampSize)
	if err != nil {
		return nil, errors.Join(err, objects.it.Close())
	}
	defer func() {
		err = errors.Join(err, objects.it.Error(), versions.it.Error(), objects.it.Close(), versions.it.Close())
	}()
	c := &versionCursor{objects: objects, versions: versions}
	add := func(o *record) bool {
		out = append(out, objectstore.ObjectEntry{Object: o.Object})
		return len(out) < l.Limit
	}
	if l.VersionMarker != "" && strings.HasPrefix(l.Marker, l.Prefix) {
		if goOn, err := c.versionsAfter(db, row, l, add); err != nil || !goOn {
			return out, err
		}
	}
	walk(c, l, visit{
		name: func(name string) bool {
			var goOn bool
			goOn, err = c.each(row, name, l.Reverse, add)
			return goOn && err == nil
		},
		subdir: func(text string) bool {
			out = append(out, objectstore.ObjectEntry{Subdir: text})
			return len(out) < l.Limit
		},
	})
	return out, err
}

// versionsAfter gives the versions of the marker's name that come after the marked one.
func (c *versionCursor) versionsAfter(db pebble.Reader, row *containerRow, l objectstore.Listing, add func(*record) bool) (bool, error) {
	o, err := version(db, row, objectstore.Key{Name: l.Marker, Version: l.VersionMarker})
	if err != nil {
		return false, err
	}
	from, known := parseVersion(l.VersionMarker)
	if o != nil {
		from, known = o.stamp, true
	}
	if !known {
		if l.Reverse {
			return true, nil
		}
		from = ^stamp(0) // there is no null version, or not any more: better twice than never
	}
	return c.each(row, l.Marker, l.Reverse, func(o *record) bool {
		if l.Reverse {
			return o.stamp <= from || add(o)
		}
		return o.stamp >= from || add(o)
	})
}

// each gives what a name has, the newest first, or last in reverse. What is
// current need not be the newest.
func (c *versionCursor) each(row *containerRow, name string, reverse bool, add func(*record) bool) (goOn bool, err error) {
	var cur *record
	if c.objects.seekGE(name) && c.objects.name() == name {
		if cur, err = decodeObject(c.objects.it.Value(), row.Account, row.Name, name); err != nil {
			return false, err
		}
		cur.Current = true
	}
	it, prefix := c.versions.it, append(c.versions.key(name), 0)
	ok := it.SeekGE(prefix)
	top := append([]byte{}, prefix...)
	if ok && cur == nil {
		top = append(top[:0], it.Key()...)
	}
	step := it.Next
	if reverse {
		ok, step = it.SeekLT(after(prefix)), it.Prev
	}
	for ; ok && bytes.HasPrefix(it.Key(), prefix); ok = step() {
		o, err := decodeObject(it.Value(), row.Account, row.Name, name)
		if err != nil {
			return false, err
		}
		o.Current = o.DeleteMarker && bytes.Equal(it.Key(), top)
		if cur != nil && reverse == (cur.stamp < o.stamp) {
			if !add(cur) {
				return false, nil
			}
			cur = nil
		}
		if !add(o) {
			return false, nil
		}
	}
	return cur == nil || add(cur), nil
}
