package disktest

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/fault"
)

const mib = 1 << 20

// Run holds a driver against the suite; make gives an empty one each time.
func Run(t *testing.T, make func(t *testing.T) disk.Driver) {
	for name, f := range map[string]func(*testing.T, disk.Driver){
		"empty volumes": empty, "growing": growing, "copies": copies, "epochs": epochs, "refusals": refusals, "many at once": manyAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, make(t))
		})
	}
}

func spec(id string, size int64) disk.Spec {
	return disk.Spec{ID: id, Kind: disk.Volume, SizeBytes: size, Format: disk.Raw}
}

func ensure(t *testing.T, d disk.Driver, s disk.Spec) disk.Facts {
	t.Helper()
	f, err := d.Ensure(context.Background(), s)
	if err != nil {
		t.Fatalf("ensure %s: %v", s.ID, err)
	}
	return f
}

func ids(t *testing.T, d disk.Driver) int {
	t.Helper()
	list, err := d.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func empty(t *testing.T, d disk.Driver) {
	ctx := context.Background()
	for range 2 {
		if f := ensure(t, d, spec("a", mib)); f.SizeBytes != mib || f.ID != "a" || f.Format != disk.Raw {
			t.Errorf("facts %+v", f)
		}
	}
	if n := ids(t, d); n != 1 {
		t.Errorf("%d volumes, want 1", n)
	}
	r, f, err := d.Open(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != mib || f.SizeBytes != mib {
		t.Errorf("%d bytes of %d: %v", n, f.SizeBytes, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if file, err := d.Locate(ctx, "a"); err != nil || file.ReadOnly || file.Path == "" {
		t.Errorf("located at %+v, %v", file, err)
	}
	for range 2 {
		if err := d.Destroy(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := ids(t, d); n != 0 {
		t.Errorf("%d volumes after the last was destroyed", n)
	}
	if _, err := d.Locate(ctx, "a"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("locate a destroyed volume: %v", err)
	}
	if _, _, err := d.Open(ctx, "a"); !fault.Is(err, fault.NotFound) {
		t.Errorf("open a destroyed volume: %v", err)
	}
}

func growing(t *testing.T, d disk.Driver) {
	ensure(t, d, spec("a", mib))
	if f := ensure(t, d, spec("a", 3*mib)); f.SizeBytes != 3*mib {
		t.Errorf("grown to %d", f.SizeBytes)
	}
	if f := ensure(t, d, spec("a", mib)); f.SizeBytes != 3*mib {
		t.Errorf("shrunk to %d", f.SizeBytes)
	}
}

func copies(t *testing.T, d disk.Driver) {
	ctx := context.Background()
	ensure(t, d, spec("a", mib))
	snap := spec("s", mib)
	snap.Kind, snap.Source = disk.Snapshot, disk.Source{Kind: disk.FromVolume, ID: "a"}
	ensure(t, d, snap)
	if file, err := d.Locate(ctx, "s"); err != nil || !file.ReadOnly {
		t.Errorf("a snapshot is located at %+v, %v", file, err)
	}
	if err := d.Destroy(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	ensure(t, d, snap) // made already: the source is not asked for
	clone := spec("c", 2*mib)
	clone.Source = disk.Source{Kind: disk.FromSnapshot, ID: "s"}
	if f := ensure(t, d, clone); f.SizeBytes != 2*mib {
		t.Errorf("a larger clone has %d bytes", f.SizeBytes)
	}
	if err := d.Destroy(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	if n := ids(t, d); n != 1 {
		t.Errorf("%d volumes, want the clone", n)
	}
}

// epochs: content is replaced at once and whole, by later epochs only.
func epochs(t *testing.T, d disk.Driver) {
	ctx := context.Background()
	ensure(t, d, spec("a", mib))
	ensure(t, d, spec("b", mib))
	next := spec("a", 2*mib)
	next.Epoch, next.Source = 7, disk.Source{Kind: disk.FromSnapshot, ID: "nobody"}
	if _, err := d.Ensure(ctx, next); !fault.Is(err, fault.NotFound) {
		t.Errorf("from nothing: %v", err)
	}
	ensure(t, d, spec("a", mib)) // a failed replacement leaves the old content
	next.Made = true
	if _, err := d.Ensure(ctx, next); !fault.Is(err, fault.NotFound) {
		t.Errorf("an epoch that was made and is not here: %v", err)
	}
	next.Made, next.Source = false, disk.Source{Kind: disk.FromVolume, ID: "b"}
	for range 2 {
		if f := ensure(t, d, next); f.SizeBytes != 2*mib {
			t.Errorf("facts %+v", f)
		}
	}
	next.Made = true
	ensure(t, d, next)
	if f := ensure(t, d, spec("a", mib)); f.SizeBytes != 2*mib { // a later epoch is as good
		t.Errorf("facts %+v", f)
	}
	if n := ids(t, d); n != 2 {
		t.Errorf("%d volumes, want 2", n)
	}
	if err := d.Destroy(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if n := ids(t, d); n != 1 {
		t.Errorf("%d volumes after one of two was destroyed", n)
	}
}

func refusals(t *testing.T, d disk.Driver) {
	ctx := context.Background()
	ensure(t, d, spec("a", 2*mib))
	small, lost, odd := spec("x", mib), spec("x", mib), spec("x", mib)
	small.Source = disk.Source{Kind: disk.FromVolume, ID: "a"}
	lost.Source = disk.Source{Kind: disk.FromSnapshot, ID: "nobody"}
	odd.Source = disk.Source{Kind: "tape", ID: "a"}
	made := spec("x", mib)
	made.Made = true
	for name, c := range map[string]struct {
		spec disk.Spec
		kind fault.Kind
	}{
		"smaller than its source": {small, fault.Invalid}, "source is not here": {lost, fault.NotFound},
		"unknown source": {odd, fault.Invalid}, "lost": {made, fault.NotFound}, "no size": {spec("x", 0), fault.Invalid}, "no id": {spec("", mib), fault.Invalid},
	} {
		if _, err := d.Ensure(ctx, c.spec); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %s", name, err, c.kind)
		}
		if n := ids(t, d); n != 1 {
			t.Fatalf("%s: %d volumes are left", name, n)
		}
	}
}

func manyAtOnce(t *testing.T, d disk.Driver) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			s := spec("v"+string(rune('a'+i%4)), mib)
			if _, err := d.Ensure(context.Background(), s); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := ids(t, d); n != 4 {
		t.Errorf("%d volumes, want 4", n)
	}
	space, err := d.Space(context.Background())
	if err != nil || space.Total <= 0 || space.Free < 0 || space.Free > space.Total {
		t.Errorf("space %+v, %v", space, err)
	}
}
