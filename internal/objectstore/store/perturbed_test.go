package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/test/report"
)

// memorySink takes events as the audit log does.
type memorySink struct {
	mu    sync.Mutex
	last  uint64
	taken []string
}

func (m *memorySink) Take(_ context.Context, _ string, events []waiting) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		if e.sequence > m.last {
			m.last, m.taken = e.sequence, append(m.taken, e.Record.Object)
		}
	}
	return nil
}

func (m *memorySink) copy() *memorySink {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memorySink{last: m.last, taken: slices.Clone(m.taken)}
}

// tidied is a store with something for each of its reconcilers to do.
type tidied struct {
	*Store
	fs    *vfs.MemFS
	disk  *watcher
	sink  *memorySink
	clock *clock.Fake
}

func newTidied(t *testing.T) *tidied {
	t.Helper()
	w := &tidied{fs: vfs.NewCrashableMem(), disk: &watcher{}, sink: &memorySink{}, clock: clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	w.Store = New(Config{Dir: dir, FS: errorfs.Wrap(w.fs, w.disk), Clock: w.clock})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Ready())
	for _, c := range []objectstore.Key{{Account: "a", Container: "c"}, {Account: "b", Container: "one"}, {Account: "b", Container: "two"}} {
		_, _, err := w.PutContainer(ctx, c.Account, c.Container, nil, event.Record{})
		must(err)
	}
	put := func(k objectstore.Key, size int, deleteAt time.Time) {
		_, err := w.Put(ctx, objectstore.Put{Key: k, Size: -1, DeleteAt: deleteAt, Event: record1(k.Name)}, bytes.NewReader(bytes.Repeat([]byte(k.Name), size)))
		must(err)
	}
	for n, size := range []int{100, 40 << 10} {
		put(keyOf(fmt.Sprint("kept", n)), size, time.Time{})
		put(keyOf(fmt.Sprint("rotten", n)), size, time.Time{})
		put(keyOf(fmt.Sprint("over", n)), size, w.clock.Now().Add(time.Minute))
		put(keyOf(fmt.Sprint("young", n)), size, w.clock.Now().Add(time.Hour))
		put(objectstore.Key{Account: "b", Container: "one", Name: fmt.Sprint("x", n)}, size, time.Time{})
		put(objectstore.Key{Account: "b", Container: "two", Name: fmt.Sprint("y", n)}, size, time.Time{})
	}
	w.clock.Advance(2 * time.Minute)
	must(w.DeleteAccount(ctx, "b", event.Record{}))
	for _, name := range []string{"tmp/07" + strings.Repeat("ab", 8), "data/07/07" + strings.Repeat("cd", 8)} {
		must(w.write(name, "garbage"))
	}
	must(w.rot("rotten1"))
	return w
}

func (w *tidied) write(name, content string) error {
	f, err := w.fs.Create(path.Join(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(content))
	folder, e := w.fs.OpenDir(path.Dir(path.Join(dir, name)))
	return errors.Join(err, f.Sync(), f.Close(), e, folder.Sync(), folder.Close())
}

// rot changes the bytes of an object behind the store.
func (w *tidied) rot(name string) error {
	_, c, err := w.Open(context.Background(), keyOf(name))
	if err != nil {
		return err
	}
	file := c.(*content).held[0]
	return errors.Join(c.Close(), w.write(strings.TrimPrefix(w.files.path(file), dir+"/"), "rotten"))
}

// again is the store after the death of its process.
func (w *tidied) again(t *testing.T, left *vfs.MemFS, sink *memorySink) *tidied {
	t.Helper()
	out := &tidied{fs: left, disk: &watcher{}, sink: sink, clock: w.clock}
	out.Store = New(Config{Dir: dir, FS: errorfs.Wrap(left, out.disk), Clock: w.clock})
	if err := out.Ready(); err != nil {
		t.Fatal(err)
	}
	return out
}

// all are the reconcilers, by name.
func (w *tidied) all() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"audit": func(ctx context.Context) error { return w.export(ctx, w.sink) }, "expiry": w.expireObjects, "reaper": w.reap, "sweep": w.sweep,
		"scrub": func(ctx context.Context) error { return w.scrub(ctx, 1<<40) },
	}
}

// seen is everything that a reconciler may change, as text.
func (w *tidied) seen(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, account := range []string{"a", "b"} {
		a, err := w.Account(t.Context(), account)
		if err != nil {
			fmt.Fprintln(&out, account, "is gone")
			continue
		}
		fmt.Fprintln(&out, account, a.Containers, a.Objects, a.Bytes)
	}
	list, err := w.Objects(t.Context(), "a", "c", objectstore.Listing{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		fmt.Fprintln(&out, e.Object.Name, e.Object.Size)
	}
	found, err := w.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		fmt.Fprintln(&out, f.Code, f.Subject)
	}
	for _, folder := range []string{tmpName, rottenName, "data/07"} {
		files, err := w.FS.List(path.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, folder, len(files))
	}
	fmt.Fprintln(&out, w.Totals(), w.sink.taken)
	return out.String()
}

// end runs a reconciler as often as its loop would until it finds nothing to do,
// and says what has come of it.
func (w *tidied) end(t *testing.T, name string) string {
	t.Helper()
	for range 3 { // the scrubber begins anew at its second run
		if err := w.all()[name](t.Context()); err != nil {
			t.Errorf("%s at last: %v", name, err)
		}
	}
	if err := w.sweep(t.Context()); err != nil { // what a death left of files is the sweeper's
		t.Errorf("%s: %v", name, err)
	}
	seen := w.seen(t)
	if err := w.Close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return seen
}

// TestPerturbedReconcilersOfTheStore kills each reconciler of the object store
// before each of its operations on the disk, has each of them fail, and runs it
// twice, two at once, and with its time over: in the end everything is as
// after an undisturbed run (F2).
func TestPerturbedReconcilersOfTheStore(t *testing.T) {
	run := report.Start(t, "F2", 0)
	for _, name := range slices.Sorted(maps.Keys(newTidied(t).all())) {
		t.Run(name, func(t *testing.T) {
			w := newTidied(t)
			before := w.seen(t)
			if name != "sweep" {
				before = newTidied(t).end(t, "sweep")
			}
			want := w.end(t, name)
			if want == before {
				t.Fatal("it had nothing to do")
			}
			same := func(how, got string) {
				t.Helper()
				run.Operations(1)
				if got != want {
					run.Violation("%s, %s:\n%swant\n%s", name, how, got, want)
				}
			}
			w = newTidied(t)
			late, cancel := context.WithCancel(t.Context())
			cancel()
			_ = w.all()[name](late) // whatever it says
			run.Fault("reconciler late", 1)
			same("late", w.end(t, name))
			w = newTidied(t)
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() { _ = w.all()[name](t.Context()) }) // one of them may be refused
			}
			both.Wait()
			run.Fault("two reconcilers at once", 1)
			same("two at once", w.end(t, name))
			run.Fault("reconciler killed at an operation on the disk", killedAtEach(t, name, same))
			run.Fault("operation on the disk failed", failedAtEach(t, name, same))
		})
	}
}

// killedAtEach runs a reconciler on what its death before each operation on the
// disk would have left.
func killedAtEach(t *testing.T, name string, same func(how, got string)) int {
	w := newTidied(t)
	type cut struct {
		fs   *vfs.MemFS
		sink *memorySink
		op   string
	}
	var cuts []cut
	w.disk.do = func(_ int, op errorfs.Op) error {
		cuts = append(cuts, cut{w.fs.CrashClone(vfs.CrashCloneCfg{}), w.sink.copy(), fmt.Sprint(op.Kind, " ", op.Path)})
		return nil
	}
	w.disk.arm(true)
	err := w.all()[name](t.Context())
	w.disk.arm(false)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Error(err)
	}
	for _, c := range cuts {
		same("killed before "+c.op, w.again(t, c.fs, c.sink).end(t, name))
	}
	if len(cuts) == 0 {
		t.Error("it never touches the disk")
	}
	return len(cuts)
}

// failedAtEach has each operation on the disk fail once, at each place.
func failedAtEach(t *testing.T, name string, same func(how, got string)) int {
	for k := 1; ; k++ {
		w, hit := newTidied(t), ""
		w.disk.do = func(n int, op errorfs.Op) error {
			if n != k || op.Kind == errorfs.OpFileClose {
				return nil
			}
			hit = fmt.Sprint(op.Kind, " ", op.Path)
			return unix.EIO
		}
		w.disk.arm(true)
		_ = w.all()[name](t.Context()) // it may not notice, or say so
		w.disk.arm(false)
		if w.failure() != nil { // it writes nothing any more, until it is started again
			next := w.again(t, w.fs.CrashClone(vfs.CrashCloneCfg{}), w.sink)
			_ = w.Close() // of a log that could not be written
			w = next
		}
		same(fmt.Sprint("failed at operation ", k, " ", hit), w.end(t, name))
		if w.disk.n < k && hit == "" {
			return k - 1
		}
		if k > 200 {
			t.Fatal("it does not end")
		}
	}
}

// What has expired when it is listed, and is written anew before it is deleted,
// stays; so does what is put where a deleted account's container was.
func TestStaleReadsOfTheStore(t *testing.T) {
	run := report.Start(t, "F2", 0)
	w := newTidied(t)
	list, err := w.Expired(t.Context(), w.clock.Now(), 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d have expired, %v", len(list), err)
	}
	for _, o := range list {
		store(t, w.Store, o.Name, []byte("anew"))
		run.Fault("stale read", 1)
		if err := w.expireObject(t.Context(), o.Key, w.clock.Now()); err != nil {
			t.Error(err)
		}
		if got, err := w.Head(t.Context(), o.Key); err != nil || got.Size != 4 {
			run.Violation("%s was written anew: %+v, %v", o.Name, got, err)
		}
	}
	found, err := w.Check(t.Context())
	for _, f := range found {
		if f.Code != "I-08/object-garbage" && f.Subject != "rotten1" {
			run.Violation("%+v", f)
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Error(err)
	}
}
