package store

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/objectstore"
)

// Keys must sort as names do, and lead back to them.
func FuzzKeys(f *testing.F) {
	f.Add("a", "a\x01", uint64(1), uint64(2))
	f.Add("a/b", "a", uint64(1)<<40, uint64(7))
	f.Add("\u00ff", "\U0010ffff", uint64(0), uint64(1)<<51)
	f.Fuzz(func(t *testing.T, a, b string, x, y uint64) {
		if checkName("object", a) != nil || checkName("object", b) != nil {
			t.Skip("no name of an object")
		}
		if bytes.Compare(nameKey(objectFamily, 7, a), nameKey(objectFamily, 7, b)) != strings.Compare(a, b) {
			t.Fatalf("%q and %q sort in another way", a, b)
		}
		va, vb := versionKey(7, a, stamp(x)), versionKey(7, b, stamp(y))
		if want := strings.Compare(a, b); want != 0 && bytes.Compare(va, vb) != want {
			t.Fatalf("versions of %q and %q sort in another way", a, b)
		}
		if a == b && x != y && (bytes.Compare(va, vb) > 0) != (x < y) {
			t.Fatal("the newest version is not first")
		}
		if name, err := nameOf(va, 1+numberSize); err != nil || name != a {
			t.Fatalf("%q read as %q, %v", a, name, err)
		}
		if s, ok := parseVersion(versionID(stamp(x))); !ok || s != stamp(x) || x < y && versionID(stamp(x)) < versionID(stamp(y)) {
			t.Fatal("identifiers of versions do not sort")
		}
		if end, ok := successor(a); ok && (end <= a || strings.HasPrefix(end, a) || a+"\U0010ffff" >= end) {
			t.Fatalf("successor of %q is %q", a, end)
		}
	})
}

// Values that are not ours are refused, and ours come back as they were.
func FuzzRecords(f *testing.F) {
	o := &record{stamp: 5}
	o.Size, o.ETag, o.ContentType, o.Headers = 7, "d41d8cd98f00b204e9800998ecf8427e", "a/b", objectstore.Headers{"A": "b"}
	o.Version, o.CreatedAt, o.ModifiedAt = objectstore.NullVersion, time.UnixMicro(5).UTC(), time.UnixMicro(6).UTC()
	f.Add(o.encode())
	f.Add(encodeParts([]part{{data: []byte("x"), size: 1}, {file: fileID{1, 2}, size: 9}}))
	f.Add((&containerRow{}).encode())
	f.Add(claim{size: 1, body: []byte("b")}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := decodeObject(b, "a", "c", "n"); err == nil {
			again, err := decodeObject(o.encode(), "a", "c", "n")
			if err != nil || !reflect.DeepEqual(o, again) {
				t.Fatalf("%+v became %+v, %v", o, again, err)
			}
		}
		if p, err := decodeParts(b); err == nil {
			again, err := decodeParts(encodeParts(p))
			if err != nil || !reflect.DeepEqual(p, again) {
				t.Fatalf("%+v became %+v, %v", p, again, err)
			}
		}
		if c, err := decodeClaim(b); err == nil {
			if again, err := decodeClaim(c.encode()); err != nil || !reflect.DeepEqual(c, again) {
				t.Fatalf("%+v became %+v, %v", c, again, err)
			}
		}
		_, _ = decodeContainer(b, b, "a", "c")
		_, _ = decodeAccount(b, b, "a")
	})
}
