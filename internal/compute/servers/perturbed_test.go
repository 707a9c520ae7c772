package servers

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/test/report"
)

// TestPerturbedPowerReports records what a host says of a guest that switches
// itself off, and replays it with one perturbation at each point: missing,
// repeated, in the other order, stale at the end. With the reconciler that
// looks again, the server is each time what it is after the undisturbed run.
func TestPerturbedPowerReports(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	row, err := serverRows.Get(context.Background(), f.db, id)
	if err != nil {
		t.Fatal(err)
	}
	before := row.server()
	facts := func(p guest.Power) hostlink.Report {
		return hostlink.Report{Host: "host-a", Section: hostlink.Guests, Objects: []hostlink.ObjectReport{
			{ID: id, Facts: mustJSON(guest.Facts{ID: id, Power: p, PowerSerial: before.PowerSerial})}}}
	}
	if err := f.driver.SwitchOff(id); err != nil {
		t.Fatal(err)
	}
	run := []hostlink.Report{facts(guest.Running), facts(guest.Paused), facts(guest.Running), facts(guest.Stopped)}
	replay := func(order []hostlink.Report) string {
		t.Helper()
		ctx := context.Background()
		if err := f.db.Write(ctx, func(tx *db.Tx) error { return put(ctx, tx, before) }); err != nil {
			t.Fatal(err)
		}
		for _, r := range order {
			if err := f.servers.Observe(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.servers.syncPower(ctx); err != nil {
			t.Fatal(err)
		}
		one, err := getServer(ctx, f.db, id)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(one.VM, one.Task, one.Power, one.Desired, one.PowerSerial)
	}
	figures, want := report.Start(t, "F2", 0), replay(run)
	for i := range run {
		swapped := slices.Clone(run)
		j := (i + 1) % len(run)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		for name, order := range map[string][]hostlink.Report{"missing": slices.Delete(slices.Clone(run), i, i+1), "repeated": slices.Insert(slices.Clone(run), i, run[i]),
			"stale": append(slices.Clone(run), run[i]), "swapped": swapped} {
			figures.Fault(name+" report", 1)
			if got := replay(order); got != want {
				figures.Violation("report %d %s: %s, want %s", i, name, got, want)
			}
		}
	}
}
