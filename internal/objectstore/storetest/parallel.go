package storetest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// many runs a function n times at once.
func many(n int, fn func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			fn(i)
		}()
	}
	all.Wait()
}

// testParallelPuts writes one name from many sides: one of them wins, whole.
func testParallelPuts(b *bench) {
	b.box(container, objectstore.Unversioned)
	const writers = 16
	bodies := map[string]bool{}
	for i := range writers {
		bodies[sum(pattern(20<<10+i*3000, byte(i)))] = true
	}
	many(writers, func(i int) {
		body := pattern(20<<10+i*3000, byte(i))
		if _, err := b.s.Put(b.Context(), objectstore.Put{Key: key("x"), Size: int64(len(body))}, bytes.NewReader(body)); err != nil {
			b.Error(err)
		}
	})
	got := b.read(key("x"))
	if !bodies[sum(got)] {
		b.Fatal("the object is of several writers")
	}
	b.counts(1, int64(len(got)), 0, int64(len(got)))
	b.box(container, objectstore.Versioned)
	many(writers, func(i int) {
		if _, err := b.s.Put(b.Context(), objectstore.Put{Key: key("x"), Size: -1}, strings.NewReader(fmt.Sprint(i))); err != nil {
			b.Error(err)
		}
	})
	if got := b.list(objectstore.Listing{Versions: true}); len(got) != writers+1 {
		b.Fatalf("%d versions of %d puts", len(got), writers+1)
	}
}

// testQuota lets many put against a quota: exactly as many as fit succeed.
func testQuota(b *bench) {
	b.box(container, objectstore.Unversioned)
	const tries, quota, size = 40, 17, 1000
	full := fault.New(fault.TooLarge, "quota")
	var stored, refused atomic.Int32
	many(tries, func(i int) {
		check := func(a *objectstore.Account, c *objectstore.Container, o *objectstore.Object) error {
			if c.AllBytes+size > quota*size {
				return full
			}
			return nil
		}
		_, err := b.s.Put(b.Context(), objectstore.Put{Key: key(fmt.Sprint(i)), Size: size, Check: check}, bytes.NewReader(pattern(size, byte(i))))
		switch {
		case err == nil:
			stored.Add(1)
		case fault.Is(err, fault.TooLarge):
			refused.Add(1)
		default:
			b.Error(err)
		}
	})
	if stored.Load() != quota || refused.Load() != tries-quota {
		b.Fatalf("%d stored, %d refused", stored.Load(), refused.Load())
	}
	b.counts(quota, quota*size, 0, quota*size)
}

// testReaders keeps contents open while their objects go.
func testReaders(b *bench) {
	b.box(container, objectstore.Unversioned)
	for _, n := range sizes() {
		body := pattern(n, 9)
		parts, all := b.mixed("p")
		for name, want := range map[string][]byte{"x": body, "moved": body, "composed": all} {
			b.put(name, body)
			if name == "composed" {
				_, err := b.compose(name, "e", true, parts...)
				b.must(err)
			}
			o, content, err := b.s.Open(b.Context(), key(name))
			b.must(err)
			switch name {
			case "x":
				b.put(name, []byte("other"))
			case "moved":
				_, err := b.compose("elsewhere", "", true, key(name))
				b.must(err)
				b.delete(key("elsewhere"))
			case "composed":
				b.delete(key(name))
			}
			got, err := io.ReadAll(content.Range(0, o.Size))
			b.must(err)
			if !bytes.Equal(got, want) {
				b.Fatalf("%s: %d bytes read after it went", name, len(got))
			}
			b.must(content.Close())
			b.must(content.Close())
		}
	}
}

// testStorm does everything at once; counts must agree in the end, and bytes always.
func testStorm(b *bench) {
	b.box(container, objectstore.Versioned)
	many(8, func(w int) {
		for i := range 40 {
			name := fmt.Sprint((w*7 + i) % 5)
			switch i % 5 {
			case 0, 1:
				body := pattern(1000*i+w, byte(w))
				if _, err := b.s.Put(b.Context(), objectstore.Put{Key: key(name), Size: -1, ETag: sum(body)}, bytes.NewReader(body)); err != nil {
					b.Error(err)
				}
			case 2:
				_, err := b.s.Compose(b.Context(), objectstore.Put{Key: key(fmt.Sprint(w % 5))}, []objectstore.Key{key(name)}, w%2 == 0)
				b.allow(err, fault.NotFound, fault.Conflict)
			case 3:
				_, err := b.s.Delete(b.Context(), key(name), nil, event.Record{})
				b.allow(err)
			case 4:
				o, content, err := b.s.Open(b.Context(), key(name))
				if b.allow(err, fault.NotFound); err == nil {
					got, err := io.ReadAll(content.Range(0, o.Size))
					if err != nil || sum(got) != o.ETag {
						b.Errorf("%s: %d of %d bytes, %v", name, len(got), o.Size, err)
					}
					content.Close()
				}
			}
		}
	})
	b.recount()
}

func (b *bench) allow(err error, kinds ...fault.Kind) {
	b.Helper()
	for _, k := range kinds {
		if fault.Is(err, k) {
			return
		}
	}
	if err != nil {
		b.Error(err)
	}
}

// recount compares a container's counts with its listing.
func (b *bench) recount() {
	b.Helper()
	entries, err := b.s.Objects(b.Context(), account, container, objectstore.Listing{Versions: true, Limit: 1 << 20})
	b.must(err)
	var objects, size, versions, all int64
	for _, e := range entries {
		all += e.Object.Size
		if e.Object.Current && !e.Object.DeleteMarker {
			objects++
			size += e.Object.Size
		} else {
			versions++
		}
	}
	b.counts(objects, size, versions, all)
}
