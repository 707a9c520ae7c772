package servers

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
	"github.com/mekcloud/mek/test/await"
)

// twoHosts is a world with two hosts, and a server on the first.
func twoHosts(t *testing.T, before []func(w *surroundings) error, start func(w *surroundings) error, done, unwound func(t *testing.T, w *surroundings)) tasktest.World {
	w := newSurroundings(t)
	w.addHost()
	w.prepare(t, append([]func(w *surroundings) error{withVolume}, before...)...)
	return w.checked(tasktest.World{DB: w.db, Open: w.open, Start: func(context.Context) error { return start(w) },
		Done: func(t *testing.T) { done(t, w) }, Unwound: func(t *testing.T) { unwound(t, w) }})
}

// sits checks where the server is, in what status, how many guests the hosts
// have, and that it and its migration hold what they should, where.
func (w *surroundings) sits(t *testing.T, host string, status compute.Status, onA, onB int, kept string) {
	t.Helper()
	one := w.only(t)
	w.settled(t)
	second := w.guestsOfSecond()
	first := len(w.guests()) - len(second)
	if one.Host != host || one.Status != status || one.Task != "" || !one.Defined || first != onA || len(second) != onB {
		t.Errorf("%s on %s (%s, defined %v), guests %d and %d, fault %+v", one.Status, one.Host, one.Task, one.Defined, first, len(second), one.Fault)
	}
	all, err := w.servers.store.migrations(context.Background(), listing.Query{})
	if err != nil || len(all) != 1 || all[0].KeptHost != kept || (kept == "" && all[0].Unsettled) {
		t.Fatalf("migrations %+v, %v", all[0], err)
	}
	id := map[string]string{"host-a": hostA, "host-b": hostB}
	mine, err := w.place.AllocationsOf(context.Background(), nil, one.ID)
	if err != nil || len(mine) != 1 || len(mine[id[host]]) == 0 {
		t.Errorf("the server has %v, %v", mine, err)
	}
	theirs, err := w.place.AllocationsOf(context.Background(), nil, all[0].ID)
	if err != nil || (len(theirs) > 0) != (kept != "") || (kept != "" && len(theirs[id[kept]]) == 0) {
		t.Errorf("the migration has %v, %v", theirs, err)
	}
	for _, p := range w.net.all {
		if p.host != host {
			t.Errorf("a port is bound to %s", p.host)
		}
	}
}

func migrate(w *surroundings) error {
	return w.servers.Migrate(context.Background(), w.only(w.t).ID, "", false, caller())
}

func TestColdMigrationSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.move", World: func(t *testing.T) tasktest.World {
		return twoHosts(t, nil, migrate, func(t *testing.T, w *surroundings) {
			w.sits(t, "host-b", "VERIFY_RESIZE", 1, 1, "host-a")
			for _, f := range w.guests() {
				if f.Power != map[bool]guest.Power{true: guest.Running, false: guest.Stopped}[len(f.NICs) > 0] {
					t.Errorf("a guest with cards %v is %s", f.NICs, f.Power)
				}
			}
		}, func(t *testing.T, w *surroundings) { w.sits(t, "host-a", "ACTIVE", 1, 0, "") })
	}})
}

func TestMigrationsEnd(t *testing.T) {
	for name, end := range map[string]func(w *surroundings) error{"confirm": confirm, "revert": revert} {
		t.Run(name, func(t *testing.T) {
			w := newSurroundings(t)
			w.addHost()
			w.prepare(t, withVolume, migrate, end)
			if name == "confirm" {
				w.sits(t, "host-b", "ACTIVE", 0, 1, "")
				return
			}
			w.sits(t, "host-a", "ACTIVE", 1, 0, "")
			if f := w.guests()[0]; f.Power != guest.Running {
				t.Errorf("the guest is %s", f.Power)
			}
		})
	}
}

func TestDeleteOfAMovedServer(t *testing.T) {
	w := newSurroundings(t)
	w.addHost()
	w.prepare(t, withVolume, migrate)
	w.prepare(t, func(w *surroundings) error {
		return w.servers.Delete(context.Background(), w.only(t).ID, false, caller())
	})
	w.check(t, 0, 0, 0, 1, 0, false)
	all, err := w.servers.store.migrations(context.Background(), listing.Query{})
	if err != nil || all[0].Status != compute.MigrationConfirmed {
		t.Fatalf("%+v, %v", all, err)
	}
	held, err := w.place.AllocationsOf(context.Background(), nil, all[0].ID)
	if err != nil || len(held) != 0 {
		t.Errorf("its migration has %v, %v", held, err)
	}
}

func TestLiveSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.live", World: func(t *testing.T) tasktest.World {
		return twoHosts(t, nil, func(w *surroundings) error {
			return w.servers.MigrateLive(context.Background(), w.only(t).ID, "", true, false, caller())
		}, func(t *testing.T, w *surroundings) { w.sits(t, "host-b", "ACTIVE", 0, 1, "") },
			func(t *testing.T, w *surroundings) { w.sits(t, "host-a", "ACTIVE", 1, 0, "") })
	}})
}

func TestEvacuateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.evacuate", World: func(t *testing.T) tasktest.World {
		var w *surroundings
		down := func(made *surroundings) error { w = made; w.dead.Store(true); return nil }
		x := twoHosts(t, []func(w *surroundings) error{down}, func(w *surroundings) error {
			return w.servers.Evacuate(context.Background(), w.only(t).ID, "", false, false, caller())
		}, func(t *testing.T, w *surroundings) {
			w.sits(t, "host-b", "ACTIVE", 1, 1, "") // what the dead host has, nobody can know
			w.dead.Store(false)
			w.rejoin()
			_, revision, err := w.servers.Render(t.Context(), "host-a")
			if err != nil {
				t.Fatal(err)
			}
			if err := w.servers.vacate(t.Context(), place{"host-a", revision}, w.only(t).ID); err != nil {
				t.Fatal(err)
			}
			w.sits(t, "host-b", "ACTIVE", 0, 1, "")
		}, func(t *testing.T, w *surroundings) {
			one := w.only(t)
			if one.Host != "host-a" || one.Status != "ACTIVE" || one.Fault == nil || !one.Defined || len(w.guestsOfSecond()) != 0 {
				t.Errorf("%+v", one)
			}
		})
		x.Deleted = func(t *testing.T) {
			w.check(t, 0, 1, 0, 1, 0, false) // what the dead host has goes when it is back
			w.dead.Store(false)
			w.rejoin()
			await.That(t, "the host that came back has no guest", func() bool { return len(w.guests()) == 0 })
		}
		return x
	}})
}

func TestEvacuationNeedsADeadHost(t *testing.T) {
	w := newSurroundings(t)
	w.addHost()
	w.prepare(t, bare)
	err := w.servers.Evacuate(context.Background(), w.only(t).ID, "", false, false, caller())
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("evacuation from a host that is up: %v", err)
	}
}

// A port that its user deletes takes its card with it, and stops no move.
func TestDeletedPortTakesItsCardAway(t *testing.T) {
	w := newSurroundings(t)
	e := w.open(task.Options{DB: w.db, Clock: clock.Real{}, Owner: "test"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := bare(w); err != nil {
		t.Fatal(err)
	}
	if err := e.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	one := w.only(t)
	if err := w.servers.withdrawCards(ctx); err != nil {
		t.Fatal(err)
	}
	nics, err := nicsOf(ctx, w.db, one.ID)
	if err != nil || len(nics[one.ID]) != 1 {
		t.Fatal("a card with a port stays", nics, err)
	}
	w.net.mu.Lock()
	clear(w.net.all)
	w.net.mu.Unlock()
	if bound, err := w.servers.rebind(ctx, nics[one.ID], "host-b"); err != nil || len(bound) != 0 {
		t.Error(bound, err)
	}
	if err := w.servers.withdrawCards(ctx); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	if nics, err = nicsOf(ctx, w.db, one.ID); err != nil || len(nics[one.ID]) != 0 {
		t.Error("the card is still there", nics, err)
	}
}
