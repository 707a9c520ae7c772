package servers

import (
	"context"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func resize(w *surroundings) error {
	return w.servers.Resize(context.Background(), w.only(w.t).ID, "big", "", false, caller())
}

// moved checks a server after a move: its status, its flavor, that the guest is
// of that size, and what Placement has for it and for its migration.
func (w *surroundings) moved(t *testing.T, status compute.Status, flavor string, held bool) {
	t.Helper()
	w.check(t, 1, 1, 1, 1, 1, true)
	one := w.only(t)
	w.settled(t)
	want, _ := w.Get(context.Background(), flavor, "")
	if one.Status != status || one.Flavor.ID != flavor || !one.Defined {
		t.Errorf("status %s, flavor %s, defined %v, fault %+v", one.Status, one.Flavor.ID, one.Defined, one.Fault)
	}
	f := w.guests()[0]
	sizes := map[string]int64{"root": int64(want.RootGiB) << 30, "ephemeral0": int64(want.EphemGiB) << 30, "swap": int64(want.SwapMiB) << 20}
	for _, d := range f.Disks {
		if size := sizes[d.ID]; size != 0 && d.SizeBytes != size {
			t.Errorf("disk %s has %d bytes, want %d", d.ID, d.SizeBytes, size)
		}
	}
	if f.Power != guest.Running || f.CPUs != want.VCPUs || f.MemoryMiB != want.MemoryMiB {
		t.Errorf("guest %s with %d CPUs and %d MiB", f.Power, f.CPUs, f.MemoryMiB)
	}
	mine, err := w.place.AllocationsOf(context.Background(), nil, one.ID)
	if err != nil || mine[hostA]["VCPU"] != int64(want.VCPUs) || mine[hostA]["DISK_GB"] != int64(want.RootGiB+want.EphemGiB+1) {
		t.Errorf("the server has %v, %v", mine, err)
	}
	all, err := w.servers.store.migrations(context.Background(), listing.Query{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d migrations, %v", len(all), err)
	}
	theirs, err := w.place.AllocationsOf(context.Background(), nil, all[0].ID)
	if err != nil || (len(theirs) > 0) != held || all[0].Unsettled != held || all[0].KeptHost != "" {
		t.Errorf("the migration has %v, %v: %+v", theirs, err, all[0])
	}
}

func withVolume(w *surroundings) error {
	in := request()
	in.Disks = in.Disks[:1]
	_, err := w.servers.Create(context.Background(), in, caller())
	return err
}

func TestMoveSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.move", World: func(t *testing.T) tasktest.World {
		return world(t, withVolume, resize, func(t *testing.T, w *surroundings) { w.moved(t, "VERIFY_RESIZE", "big", true) },
			func(t *testing.T, w *surroundings) { w.moved(t, "ACTIVE", "small", false) })
	}})
}

// resizing makes a server and resizes it, each to its end.
func resizing(t *testing.T, start func(w *surroundings) error, done, unwound func(t *testing.T, w *surroundings)) tasktest.World {
	w := newSurroundings(t)
	w.prepare(t, withVolume, resize)
	return w.checked(tasktest.World{DB: w.db, Open: w.open, Start: func(context.Context) error { return start(w) },
		Done: func(t *testing.T) { done(t, w) }, Unwound: func(t *testing.T) { unwound(t, w) }})
}

func confirm(w *surroundings) error {
	return w.servers.ConfirmResize(context.Background(), w.only(w.t).ID, false, caller())
}

func TestConfirmSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.confirm", World: func(t *testing.T) tasktest.World {
		return resizing(t, confirm, func(t *testing.T, w *surroundings) { w.moved(t, "ACTIVE", "big", false) },
			func(t *testing.T, w *surroundings) { // it can be confirmed again
				w.moved(t, "VERIFY_RESIZE", "big", true)
				w.prepare(t, confirm)
				w.moved(t, "ACTIVE", "big", false)
			})
	}})
}

func revert(w *surroundings) error {
	return w.servers.RevertResize(context.Background(), w.only(w.t).ID, false, caller())
}

func TestRevertSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.revert", World: func(t *testing.T) tasktest.World {
		return resizing(t, revert, func(t *testing.T, w *surroundings) { w.moved(t, "ACTIVE", "small", false) },
			func(t *testing.T, w *surroundings) { // as it was resized, or as it was before: one of them whole
				one := w.only(t)
				if one.Status == "VERIFY_RESIZE" {
					w.moved(t, "VERIFY_RESIZE", "big", true)
					return
				}
				if one.Status != "ERROR" || one.Flavor.ID != "small" || !one.Defined || one.Fault == nil {
					t.Errorf("%+v", one)
				}
				w.prepare(t, power("reboot"))
				w.moved(t, "ACTIVE", "small", false)
			})
	}})
}

// TestResizesAreConfirmedByThemselves: after the window, and not before.
func TestResizesAreConfirmedByThemselves(t *testing.T) {
	w := newSurroundings(t)
	confirmOld := func(after time.Duration) func(w *surroundings) error {
		return func(w *surroundings) error {
			w.servers.ConfirmAfter = after
			return w.servers.confirmOld(context.Background())
		}
	}
	w.prepare(t, withVolume, resize, confirmOld(0), confirmOld(time.Hour))
	w.moved(t, "VERIFY_RESIZE", "big", true)
	w.prepare(t, confirmOld(time.Nanosecond))
	w.moved(t, "ACTIVE", "big", false)
}

// TestHistoryOfDeletedServersIsForgotten: in time, and only theirs.
func TestHistoryOfDeletedServersIsForgotten(t *testing.T) {
	w := newSurroundings(t)
	w.prepare(t, withVolume, resize, confirm)
	ctx, id := context.Background(), w.only(t).ID
	forget := func(after time.Duration) (actions, moves, lives int) {
		t.Helper()
		w.servers.KeepHistory = after
		if err := w.servers.forgetOld(ctx); err != nil {
			t.Fatal(err)
		}
		log, err := w.servers.store.actionsOf(ctx, id, listing.Query{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := w.servers.store.migrations(ctx, listing.Query{})
		if err != nil {
			t.Fatal(err)
		}
		past, err := w.servers.store.lives(ctx, project, 0, 1<<62, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(log), len(all), len(past)
	}
	if a, m, l := forget(time.Nanosecond); a != 3 || m != 1 || l != 1 {
		t.Errorf("of a living server: %d actions, %d moves, %d lives", a, m, l)
	}
	w.prepare(t, func(w *surroundings) error { return w.servers.Delete(ctx, id, false, caller()) })
	if a, m, l := forget(time.Hour); a != 4 || m != 1 || l != 1 {
		t.Errorf("of one just deleted: %d actions, %d moves, %d lives", a, m, l)
	}
	if a, m, l := forget(time.Nanosecond); a != 0 || m != 0 || l != 0 {
		t.Errorf("after the retention: %d actions, %d moves, %d lives", a, m, l)
	}
}
