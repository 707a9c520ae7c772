package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

const dir = "/objects"

// script is work that touches every path to the disk. Each step is one change.
func script() []func(ctx context.Context, s *Store) error {
	key := func(name string) objectstore.Key { return objectstore.Key{Account: "a", Container: "c", Name: name} }
	put := func(name string, n int) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, err := s.Put(ctx, objectstore.Put{Key: key(name), Size: -1, Event: record1(name)}, bytes.NewReader(bytes.Repeat([]byte(name), n)))
			return err
		}
	}
	compose := func(name string, move bool, parts ...string) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			var keys []objectstore.Key
			for _, p := range parts {
				keys = append(keys, key(p))
			}
			_, err := s.Compose(ctx, objectstore.Put{Key: key(name), ETag: "composed"}, keys, move)
			return err
		}
	}
	remove := func(name string) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, err := s.Delete(ctx, key(name), nil, event.Record{})
			return err
		}
	}
	box := func(v objectstore.Versioning) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, _, err := s.PutContainer(ctx, "a", "c", func(c *objectstore.Container, _ bool) error { c.Versioning = v; return nil }, event.Record{})
			return err
		}
	}
	const small, large = 100, 40 << 10
	return []func(context.Context, *Store) error{
		box(objectstore.Unversioned), put("s", small), put("L", large), put("s", large), put("L", small), put("L", large),
		compose("copy", false, "L", "s"), compose("moved", true, "copy", "L"), put("t", 20<<10), put("u", 20<<10), compose("spilled", true, "t", "u"),
		remove("s"), box(objectstore.Versioned), put("moved", small), remove("moved"), put("moved", large), remove("moved"), box(objectstore.Suspended),
		put("moved", large), put("moved", large), remove("spilled"),
	}
}

func record1(name string) event.Record {
	return event.Record{Service: "object-store", Action: "create", Kind: "object", Object: name}
}

// shot is the whole content of a store as text; bytes that do not hash to their
// ETag are a failure.
func shot(t *testing.T, s *Store) string {
	t.Helper()
	ctx := context.Background()
	c, err := s.Container(ctx, "a", "c")
	if fault.Is(err, fault.NotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	fmt.Fprintln(&out, c.Versioning, c.Objects, c.Bytes, c.Versions, c.AllBytes)
	list, err := s.Objects(ctx, "a", "c", objectstore.Listing{Versions: true, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		o := e.Object
		fmt.Fprintln(&out, o.Name, o.Current, o.DeleteMarker, o.Size, hashOf(t, s, o))
	}
	return out.String()
}

func hashOf(t *testing.T, s *Store, o objectstore.Object) string {
	t.Helper()
	if o.DeleteMarker {
		return ""
	}
	_, content, err := s.Open(context.Background(), o.Key)
	if err != nil {
		t.Fatalf("open %s: %v", o.Name, err)
	}
	defer content.Close()
	h := md5.New()
	n, err := io.Copy(h, content.Range(0, o.Size))
	sum := hex.EncodeToString(h.Sum(nil))
	if err != nil || n != o.Size || o.ETag != "composed" && sum != o.ETag {
		t.Fatalf("%s has %d bytes of %d with hash %s, ETag %s, %v", o.Name, n, o.Size, sum, o.ETag, err)
	}
	return sum
}

// whole checks that a store holds no half thing and, after a sweep, no garbage.
func whole(t *testing.T, s *Store) {
	t.Helper()
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	found, err := s.Check(context.Background())
	if err != nil || len(found) > 0 {
		t.Fatalf("findings %+v, %v", found, err)
	}
	for _, name := range []string{tmpName, rottenName} {
		if left, err := s.FS.List(dir + "/" + name); err != nil || len(left) > 0 {
			t.Fatalf("left in %s: %v, %v", name, left, err)
		}
	}
}

// watcher sees each operation of a file system that changes it.
type watcher struct {
	mu    sync.Mutex
	n     int
	do    func(n int, op errorfs.Op) error
	armed bool
}

func (w *watcher) String() string { return "watcher" }

func (w *watcher) MaybeError(op errorfs.Op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.armed || op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	w.n++
	return w.do(w.n, op)
}

func (w *watcher) arm(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = on
}

// Power fails before every single operation on the disk: what was answered is
// there, what was not is there whole or not at all.
func TestPowerFailures(t *testing.T) {
	type cut struct {
		fs   *vfs.MemFS
		done int
		op   string
	}
	for _, keep := range []int{0, 50} { // percent of what was not flushed that the disk has all the same
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			rng := rand.New(rand.NewPCG(uint64(keep), 1))
			var cuts []cut
			done := 0
			w := &watcher{}
			w.do = func(_ int, op errorfs.Op) error {
				cuts = append(cuts, cut{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}), done, fmt.Sprint(op.Kind, " ", op.Path)})
				return nil
			}
			s := New(Config{Dir: dir, FS: errorfs.Wrap(mem, w)})
			if err := s.Ready(); err != nil {
				t.Fatal(err)
			}
			shots := []string{shot(t, s)}
			for i, step := range script() {
				w.arm(true)
				err := step(t.Context(), s)
				w.arm(false)
				if err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				shots = append(shots, shot(t, s))
				w.mu.Lock()
				done = i + 1
				w.mu.Unlock()
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range cuts {
				after := New(Config{Dir: dir, FS: c.fs})
				got := shot(t, after)
				if got != shots[c.done] && (c.done+1 == len(shots) || got != shots[c.done+1]) {
					t.Fatalf("step %d, cut before %s: got\n%swant\n%s", c.done, c.op, got, shots[c.done])
				}
				whole(t, after)
				if err := after.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d cuts", len(cuts))
			if len(cuts) < 80 {
				t.Fatalf("only %d cuts", len(cuts))
			}
		})
	}
}

// An operation on the disk fails, once or from then on: the change fails
// cleanly, or the store refuses to write; a restart finds what was answered.
func TestDiskErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		ever bool
	}{{"EIO once", unix.EIO, false}, {"EIO for ever", unix.EIO, true}, {"ENOSPC once", unix.ENOSPC, false}, {"ENOSPC for ever", unix.ENOSPC, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			stride := 1
			if testing.Short() {
				stride = 7
			}
			for k := 1; ; k += stride {
				if !oneError(t, k, c.err, c.ever) {
					if t.Logf("%d operations", k-1); k < 50 {
						t.Fatal("hardly anything was tried")
					}
					return
				}
			}
		})
	}
}

// oneError runs the script with an error at the k-th operation; false when there were less.
func oneError(t *testing.T, k int, injected error, ever bool) bool {
	mem := vfs.NewCrashableMem()
	hit := false
	w := &watcher{do: func(n int, op errorfs.Op) error {
		if strings.Contains(op.Path, "MANIFEST") || n < k || n > k && !ever || op.Kind == errorfs.OpFileClose {
			return nil
		}
		hit = true
		return injected
	}}
	s := New(Config{Dir: dir, FS: errorfs.Wrap(mem, w)})
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	w.arm(true)
	acked := shot(t, s)
	for i, step := range script() {
		before := shot(t, s)
		err := step(t.Context(), s)
		if err == nil {
			acked = shot(t, s)
			continue
		}
		if errors.Is(err, injected) != (fault.As(err).Cause != nil) && s.failure() == nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
			t.Fatalf("operation %d, step %d: %v", k, i, err)
		}
		if injected == unix.ENOSPC && errors.Is(err, injected) && fault.As(err).Code != objectstore.CodeFull {
			t.Fatalf("operation %d, step %d: a full disk is %v", k, i, err)
		}
		if got := shot(t, s); got != before && s.failure() == nil {
			t.Fatalf("operation %d, step %d failed with %v and left\n%safter\n%s", k, i, err, got, before)
		}
	}
	w.arm(false)
	last, broken := shot(t, s), s.failure() != nil
	if !broken {
		whole(t, s)
	}
	after := New(Config{Dir: dir, FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if got := shot(t, after); got != last && (!broken || got != acked) {
		t.Fatalf("operation %d: after a restart\n%swant\n%sor\n%s", k, got, last, acked)
	}
	whole(t, after)
	if err := errors.Join(after.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return hit
}
