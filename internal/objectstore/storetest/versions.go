package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

func at(name, version string) objectstore.Key {
	k := key(name)
	k.Version = version
	return k
}

// history shows what a name has, the newest first: bytes or "-", with "*" for the current one.
func (b *bench) history(name string) string {
	b.Helper()
	entries, err := b.s.Objects(b.Context(), account, container, objectstore.Listing{Versions: true, Limit: 100, Prefix: name})
	b.must(err)
	var out []string
	for _, e := range entries {
		word := "-"
		if !e.Object.DeleteMarker {
			word = string(b.read(e.Object.Key))
		}
		if e.Object.Current {
			word += "*"
		}
		if e.Object.Version == objectstore.NullVersion {
			word += "0"
		}
		out = append(out, word)
	}
	return words(out)
}

func (b *bench) shows(name, want string) {
	b.Helper()
	if got := b.history(name); got != want {
		b.Fatalf("%s has %q, want %q", name, got, want)
	}
}

func testUnversioned(b *bench) {
	b.box(container, objectstore.Unversioned)
	first := b.put("x", []byte("one"))
	second := b.put("x", []byte("second"))
	if first.Version != objectstore.NullVersion || !second.ModifiedAt.After(first.ModifiedAt) {
		b.Fatalf("%+v, then %+v", first, second)
	}
	b.counts(1, 6, 0, 6)
	b.shows("x", "second*0")
	b.holds(at("x", objectstore.NullVersion), []byte("second"))
	b.gone(at("x", "0123456789abcdef"))
	d := b.delete(key("x"))
	if d.Marker != nil || d.Removed == nil || d.Removed.Size != 6 {
		b.Fatalf("deletion %+v", d)
	}
	b.gone(key("x"))
	_, err := b.s.Delete(b.Context(), key("x"), nil, event.Record{})
	b.want(err, fault.NotFound, "delete twice")
	b.counts(0, 0, 0, 0)
}

func testVersioned(b *bench) {
	b.box(container, objectstore.Unversioned)
	b.put("x", []byte("a"))
	b.box(container, objectstore.Versioned)
	v1 := b.put("x", []byte("bb"))
	v2 := b.put("x", []byte("ccc"))
	if v1.Version == v2.Version || v2.Version >= v1.Version {
		b.Fatalf("versions %s, then %s", v1.Version, v2.Version)
	}
	b.counts(1, 3, 2, 6)
	b.shows("x", "ccc* bb a0")
	d := b.delete(key("x"))
	if d.Marker == nil || !d.Marker.DeleteMarker || d.Removed == nil || d.Removed.Version != v2.Version {
		b.Fatalf("deletion %+v", d)
	}
	if f := b.gone(key("x")); f.Code != objectstore.CodeMarker || f.Detail["version"] != d.Marker.Version {
		b.Fatalf("a deleted object: %+v", f)
	}
	if f := b.gone(at("x", d.Marker.Version)); f.Code != objectstore.CodeMarker {
		b.Fatalf("a delete marker: %+v", f)
	}
	b.counts(0, 0, 4, 6)
	b.shows("x", "-* ccc bb a0")
	if got := words(b.list(objectstore.Listing{})); got != "" {
		b.Fatalf("listed %s", got)
	}
	b.want(b.s.DeleteContainer(b.Context(), account, container, event.Record{}), fault.Conflict, "delete of a container with versions")
	again := b.delete(key("x"))
	if again.Removed != nil || again.Marker == nil {
		b.Fatalf("deletion of nothing: %+v", again)
	}
	b.delete(at("x", again.Marker.Version))
	b.shows("x", "-* ccc bb a0")
	b.delete(at("x", d.Marker.Version)) // undeletes
	b.shows("x", "ccc* bb a0")
	b.counts(1, 3, 2, 6)
	b.delete(at("x", v1.Version))
	b.shows("x", "ccc* a0")
	b.delete(at("x", v2.Version))
	b.shows("x", "a*0")
	b.counts(1, 1, 0, 1)
	_, err := b.s.Delete(b.Context(), at("x", v2.Version), nil, event.Record{})
	b.want(err, fault.NotFound, "delete of a version twice")
	b.delete(at("x", objectstore.NullVersion))
	b.shows("x", "")
	b.counts(0, 0, 0, 0)
	_, _, err = b.s.PutContainer(b.Context(), account, container, func(c *objectstore.Container, _ bool) error { c.Versioning = objectstore.Unversioned; return nil }, event.Record{})
	b.want(err, fault.Conflict, "the end of versioning")
}

func testSuspended(b *bench) {
	b.box(container, objectstore.Versioned)
	v := b.put("x", []byte("v"))
	b.box(container, objectstore.Suspended)
	b.put("x", []byte("n"))
	b.shows("x", "n*0 v")
	b.put("x", []byte("nn"))
	b.shows("x", "nn*0 v")
	b.counts(1, 2, 1, 3)
	b.delete(key("x"))
	b.shows("x", "-*0 v")
	b.counts(0, 0, 2, 1)
	b.delete(key("x"))
	b.shows("x", "-*0 v")
	b.put("x", []byte("m"))
	b.shows("x", "m*0 v")
	b.box(container, objectstore.Versioned)
	w := b.put("x", []byte("w"))
	b.shows("x", "w* m0 v")
	b.box(container, objectstore.Suspended)
	b.put("x", []byte("k"))
	b.shows("x", "k*0 w v")
	b.delete(at("x", objectstore.NullVersion))
	b.shows("x", "w* v")
	b.delete(key("x"))
	b.shows("x", "-*0 w v")
	for _, version := range []string{objectstore.NullVersion, v.Version, w.Version} {
		b.delete(at("x", version))
	}
	b.counts(0, 0, 0, 0)
}

func (b *bench) compose(name, etag string, move bool, parts ...objectstore.Key) (*objectstore.Object, error) {
	return b.s.Compose(b.Context(), objectstore.Put{Key: key(name), Size: -1, ETag: etag, ContentType: "c/d"}, parts, move)
}

// mixed puts parts of different sizes and gives all their bytes.
func (b *bench) mixed(prefix string) (parts []objectstore.Key, all []byte) {
	b.Helper()
	for i, n := range []int{40 << 10, 10, 0, 70 << 10, 20 << 10, 30 << 10, 3} {
		body := pattern(n, byte(i))
		k := key(fmt.Sprint(prefix, i))
		b.put(k.Name, body)
		parts, all = append(parts, k), append(all, body...)
	}
	return parts, all
}

func testCopy(b *bench) {
	b.box(container, objectstore.Unversioned)
	for _, n := range sizes() {
		body := pattern(n, 5)
		b.put("from", body)
		for _, name := range []string{"to", "to", "from"} { // onto itself at last
			o, err := b.compose(name, "", false, key("from"))
			b.must(err)
			if o.ETag != sum(body) || o.Size != int64(n) || o.ContentType != "c/d" {
				b.Fatalf("copy %+v", o)
			}
		}
		b.holds(key("to"), body)
		b.holds(key("from"), body)
		b.delete(key("from"))
		b.holds(key("to"), body)
		b.ranges("to", body)
		b.delete(key("to"))
	}
	b.counts(0, 0, 0, 0)
	parts, all := b.mixed("p")
	twice := append(append([]objectstore.Key{}, parts...), parts...)
	o, err := b.compose("all", "sum-14", false, twice...)
	b.must(err)
	if o.ETag != "sum-14" || o.Size != int64(2*len(all)) {
		b.Fatalf("composed %+v", o)
	}
	for _, k := range parts {
		b.delete(k)
	}
	b.holds(key("all"), append(append([]byte{}, all...), all...))
	b.ranges("all", append(append([]byte{}, all...), all...))
	b.counts(1, int64(2*len(all)), 0, int64(2*len(all)))
	_, err = b.compose("none", "e", false, key("all"), key("missing"))
	b.want(err, fault.NotFound, "a missing part")
	b.gone(key("none"))
	_, err = b.s.Compose(b.Context(), objectstore.Put{Key: key("none"), Limit: 5}, []objectstore.Key{key("all")}, false)
	b.want(err, fault.TooLarge, "a copy beyond the limit")
	b.counts(1, int64(2*len(all)), 0, int64(2*len(all)))
}

func testMove(b *bench) {
	b.box(container, objectstore.Unversioned)
	parts, all := b.mixed("p")
	_, err := b.compose("none", "e", true, append(parts, key("missing"))...)
	b.want(err, fault.NotFound, "a missing part")
	_, err = b.compose("none", "e", true, parts[0], parts[0])
	b.want(err, fault.Invalid, "a part that moves twice")
	b.counts(int64(len(parts)), int64(len(all)), 0, int64(len(all)))
	_, err = b.compose("all", "sum-7", true, parts...)
	b.must(err)
	b.holds(key("all"), all)
	b.counts(1, int64(len(all)), 0, int64(len(all)))
	_, err = b.compose("all", "", true, key("all")) // onto itself
	b.must(err)
	b.holds(key("all"), all)
	b.box(container, objectstore.Versioned)
	b.put("all", []byte("new"))
	_, err = b.compose("renamed", "", true, key("all"))
	b.must(err)
	b.shows("renamed", "new*")
	b.holds(key("all"), all)
	var body bytes.Buffer
	for i := range 200 {
		name := fmt.Sprintf("s%03d", i)
		b.put(name, []byte(strings.Repeat(name, 100)))
		body.WriteString(strings.Repeat(name, 100))
	}
	var many []objectstore.Key
	for i := range 200 {
		many = append(many, key(fmt.Sprintf("s%03d", i)))
	}
	_, err = b.compose("many", "sum-200", true, many...)
	b.must(err)
	b.holds(key("many"), body.Bytes())
	b.counts(3, int64(body.Len()+3+len(all)), 0, int64(body.Len()+3+len(all)))
}
