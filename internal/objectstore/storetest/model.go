package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// naive is a listing by looking at every name: what the contract says, slowly.
// each gives the entries of a name.
func naive(names []string, l objectstore.Listing, each func(name string) []string) (out []string) {
	names = slices.Sorted(slices.Values(names))
	skip := l.Marker
	if l.Reverse {
		slices.Reverse(names)
		skip = l.EndMarker
	}
	seen := map[string]bool{}
	for _, n := range names {
		low, high := l.Marker, l.EndMarker
		if l.Reverse {
			low, high = high, low
		}
		if !strings.HasPrefix(n, l.Prefix) || low != "" && n <= low || high != "" && n >= high {
			continue
		}
		if at := strings.Index(n[len(l.Prefix):], l.Delimiter); l.Delimiter != "" && at >= 0 {
			dir := n[:len(l.Prefix)+at+len(l.Delimiter)]
			if !seen[dir] && dir != skip {
				out = append(out, dir+"…")
			}
			seen[dir] = true
			continue
		}
		out = append(out, each(n)...)
	}
	return out[:min(len(out), l.Limit)]
}

func drawName(r *rapid.T) string {
	return rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'b', '/', '\x01', '\u00fe', '\U0010ffff'}), 1, 5, -1).Draw(r, "name")
}

func drawListing(r *rapid.T) objectstore.Listing {
	some := func(label string) string {
		if rapid.Bool().Draw(r, label+" given") {
			return ""
		}
		return drawName(r)
	}
	return objectstore.Listing{
		Prefix: some("prefix"), Marker: some("marker"), EndMarker: some("end"), Reverse: rapid.Bool().Draw(r, "reverse"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "a", "b/", "\U0010ffff"}).Draw(r, "delimiter"), Limit: rapid.IntRange(1, 12).Draw(r, "limit"),
	}
}

func testListingModel(b *bench) {
	rounds := 0
	rapid.Check(b.T, func(r *rapid.T) {
		rounds++
		box := fmt.Sprint("box", rounds)
		b.box(box, objectstore.Unversioned)
		names := rapid.SliceOfNDistinct(rapid.Custom(drawName), 0, 30, rapid.ID[string]).Draw(r, "names")
		for _, n := range names {
			k := key(n)
			k.Container = box
			if _, err := b.s.Put(b.Context(), objectstore.Put{Key: k}, bytes.NewReader(nil)); err != nil {
				r.Fatal(err)
			}
		}
		for range 20 {
			l := drawListing(r)
			entries, err := b.s.Objects(b.Context(), account, box, l)
			if err != nil {
				r.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				if got = append(got, e.Object.Name); e.Subdir != "" {
					got[len(got)-1] = e.Subdir + "…"
				}
			}
			if want := naive(names, l, func(n string) []string { return []string{n} }); !slices.Equal(got, want) {
				r.Fatalf("%+v\n got %q\nwant %q", l, got, want)
			}
		}
	})
}

func testContainersModel(b *bench) {
	rounds := 0
	rapid.Check(b.T, func(r *rapid.T) {
		rounds++
		owner := fmt.Sprint("AUTH_", rounds)
		names := rapid.SliceOfNDistinct(rapid.Custom(drawName), 1, 20, rapid.ID[string]).Draw(r, "names")
		for _, n := range names {
			if _, _, err := b.s.PutContainer(b.Context(), owner, n, nil, event.Record{}); err != nil {
				r.Fatal(err)
			}
		}
		for range 20 {
			l := drawListing(r)
			entries, err := b.s.Containers(b.Context(), owner, l)
			if err != nil {
				r.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				if got = append(got, e.Container.Name); e.Subdir != "" {
					got[len(got)-1] = e.Subdir + "…"
				}
			}
			if want := naive(names, l, func(n string) []string { return []string{n} }); !slices.Equal(got, want) {
				r.Fatalf("%+v\n got %q\nwant %q", l, got, want)
			}
		}
	})
}

// entry is a version in the model.
type entry struct {
	id     string
	body   string
	marker bool
}

// model is a container as the contract describes it.
type model struct {
	versioning objectstore.Versioning
	names      map[string][]entry // the newest first
}

func (m *model) put(name string, e entry) {
	list := m.names[name]
	if m.versioning != objectstore.Versioned {
		list = slices.DeleteFunc(list, func(e entry) bool { return e.id == objectstore.NullVersion })
	}
	m.names[name] = append([]entry{e}, list...)
}

func (m *model) remove(name, id string) {
	m.names[name] = slices.DeleteFunc(m.names[name], func(e entry) bool { return e.id == id })
	if len(m.names[name]) == 0 {
		delete(m.names, name)
	}
}

func (m *model) live(name string) bool { return len(m.names[name]) > 0 && !m.names[name][0].marker }

func (m *model) counts() (objects, size, versions, all int64) {
	for _, list := range m.names {
		for i, e := range list {
			all += int64(len(e.body))
			if i == 0 && !e.marker {
				objects++
				size += int64(len(e.body))
			} else {
				versions++
			}
		}
	}
	return objects, size, versions, all
}

// testVersionsModel does random changes to a container and a model, and compares.
func testVersionsModel(b *bench) {
	rounds := 0
	rapid.Check(b.T, func(r *rapid.T) {
		rounds++
		w := &versionWorld{b: b, r: r, box: fmt.Sprint("box", rounds), m: &model{names: map[string][]entry{}}}
		b.box(w.box, objectstore.Unversioned)
		r.Repeat(map[string]func(*rapid.T){"put": w.put, "delete": w.delete, "version": w.deleteVersion, "switch": w.toggle, "move": w.move, "": w.compare})
	})
}

type versionWorld struct {
	b   *bench
	r   *rapid.T
	box string
	m   *model
}

func (w *versionWorld) key(r *rapid.T) objectstore.Key {
	return objectstore.Key{Account: account, Container: w.box, Name: rapid.SampledFrom([]string{"a", "a\x01", "b"}).Draw(r, "name")}
}

func (w *versionWorld) put(r *rapid.T) {
	k := w.key(r)
	body := strings.Repeat("x", rapid.SampledFrom([]int{0, 3, 40 << 10}).Draw(r, "size"))
	o, err := w.b.s.Put(w.b.Context(), objectstore.Put{Key: k, Size: -1}, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	w.m.put(k.Name, entry{id: o.Version, body: body})
}

func (w *versionWorld) delete(r *rapid.T) {
	k := w.key(r)
	d, err := w.b.s.Delete(w.b.Context(), k, nil, event.Record{})
	if w.m.versioning == objectstore.Unversioned {
		if fault.Is(err, fault.NotFound) == w.m.live(k.Name) {
			r.Fatalf("delete: %v", err)
		}
		w.m.remove(k.Name, objectstore.NullVersion)
		return
	}
	if err != nil || d.Marker == nil || (d.Removed != nil) != w.m.live(k.Name) {
		r.Fatalf("delete: %+v, %v", d, err)
	}
	w.m.put(k.Name, entry{id: d.Marker.Version, marker: true})
}

func (w *versionWorld) deleteVersion(r *rapid.T) {
	k := w.key(r)
	list := w.m.names[k.Name]
	if len(list) == 0 {
		r.Skip()
	}
	k.Version = rapid.SampledFrom(list).Draw(r, "version").id
	if _, err := w.b.s.Delete(w.b.Context(), k, nil, event.Record{}); err != nil {
		r.Fatal(err)
	}
	w.m.remove(k.Name, k.Version)
}

func (w *versionWorld) toggle(r *rapid.T) {
	v := rapid.SampledFrom([]objectstore.Versioning{objectstore.Versioned, objectstore.Suspended}).Draw(r, "versioning")
	w.b.box(w.box, v)
	w.m.versioning = v
}

// move composes one name of the current objects of others.
func (w *versionWorld) move(r *rapid.T) {
	to, from := w.key(r), w.key(r)
	if !w.m.live(from.Name) {
		r.Skip()
	}
	e := w.m.names[from.Name][0]
	o, err := w.b.s.Compose(w.b.Context(), objectstore.Put{Key: to}, []objectstore.Key{from}, true)
	if err != nil {
		r.Fatal(err)
	}
	w.m.remove(from.Name, e.id)
	w.m.put(to.Name, entry{id: o.Version, body: e.body})
}

// compare looks at everything by listings of versions, page by page.
func (w *versionWorld) compare(r *rapid.T) {
	show := func(name string, e entry, current bool) string {
		return fmt.Sprintf("%q %s %d %v %v", name, e.id, len(e.body), e.marker, current)
	}
	var names, got []string
	for n := range w.m.names {
		names = append(names, n)
	}
	want := naive(names, objectstore.Listing{Limit: 1000}, func(n string) (out []string) {
		for i, e := range w.m.names[n] {
			out = append(out, show(n, e, i == 0))
		}
		return out
	})
	l := objectstore.Listing{Versions: true, Limit: rapid.IntRange(1, 5).Draw(r, "page")}
	for {
		page, err := w.b.s.Objects(w.b.Context(), account, w.box, l)
		if err != nil {
			r.Fatal(err)
		}
		for _, e := range page {
			o := e.Object
			got = append(got, show(o.Name, entry{o.Version, strings.Repeat("x", int(o.Size)), o.DeleteMarker}, o.Current))
			l.Marker, l.VersionMarker = o.Name, o.Version
		}
		if len(page) < l.Limit {
			break
		}
	}
	if !slices.Equal(got, want) {
		r.Fatalf("\n got %q\nwant %q", got, want)
	}
	c, err := w.b.s.Container(w.b.Context(), account, w.box)
	if err != nil {
		r.Fatal(err)
	}
	if o, s, v, a := w.m.counts(); c.Objects != o || c.Bytes != s || c.Versions != v || c.AllBytes != a {
		r.Fatalf("counts %+v, want %d %d %d %d", c, o, s, v, a)
	}
}
