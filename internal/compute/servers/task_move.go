package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/task"
)

// moveSagas are the handles of all ways in which servers move.
type moveSagas struct {
	move, confirm, revert, live *task.Handle[moveParams]
	evacuate                    *task.Handle[evacuateParams]
}

func (s *Servers) registerMoves() moveSagas {
	e := s.Tasks
	return moveSagas{move: task.Register(e, s.moveSaga()), confirm: task.Register(e, s.confirmSaga()), revert: task.Register(e, s.revertSaga()),
		live: task.Register(e, s.liveSaga()), evacuate: task.Register(e, s.evacuateSaga())}
}

type moveParams struct {
	Migration string `json:"migration"`
}

type moveState struct {
	Ranked  []scheduler.Ranked    `json:"ranked,omitempty"`
	Disks   []string              `json:"disks,omitempty"` // ids for disks that the new flavor brings
	Host    string                `json:"host,omitempty"`  // the destination
	Zone    string                `json:"zone,omitempty"`
	Held    placement.Allocations `json:"held,omitempty"`   // what the server had before
	Copies  map[string]int64      `json:"copies,omitempty"` // sizes of copied disks, by the disk's name in the guest
	Before  *shape                `json:"before,omitempty"`
	Stopped bool                  `json:"stopped,omitempty"`  // asked to stop, or to stay so
	Changed bool                  `json:"switched,omitempty"` // the row has its new shape
	Stop    place                 `json:"stop"`
	Left    place                 `json:"left"` // the source without cards and volumes
	Spawn   place                 `json:"spawn"`
	Gone    place                 `json:"gone"` // the destination without the guest
	Back    place                 `json:"back"` // the source as it was
}

type moveRun = task.Run[moveParams, moveState]

// elsewhere tells whether the server goes to another host.
func elsewhere(r *moveRun) bool { return r.State.Before != nil && r.State.Before.Host != r.State.Host }

// moveSaga takes a stopped server to its new flavor and host: a resize or a
// cold migration. On the same host its disks get a layer; to another one their
// bytes go, and the source keeps them until somebody confirms.
func (s *Servers) moveSaga() task.Saga[moveParams, moveState] {
	return task.Saga[moveParams, moveState]{Name: "compute.server.move", Deadline: 4 * time.Hour, Steps: []task.Step[moveParams, moveState]{
		{Name: "begin", UndoCommit: s.moveFailed},
		{Name: "claim-host", Do: s.rankMove, Commit: s.claimMove, UndoCommit: s.unclaimMove},
		{Name: "restored", Undo: s.awaitRestored},
		{Name: "stop", Commit: s.stopForMove, UndoCommit: s.startAgain},
		{Name: "stopped", Do: func(ctx context.Context, r *moveRun) error {
			_, err := s.settle(ctx, r.State.Stop, r.Object)
			return err
		}, Timeout: 2 * time.Minute},
		{Name: "copies", Do: s.copyDisks, Undo: s.forgetCopies, Timeout: time.Hour},
		{Name: "switch", Commit: s.switchShape, UndoCommit: s.switchBack},
		{Name: "left", Do: s.awaitLeft},
		{Name: "devices", Do: s.carryThere, Undo: s.carryHome, Timeout: time.Hour},
		{Name: "vacated", Undo: s.awaitVacated},
		{Name: "define", Commit: s.defineMoved, UndoCommit: s.undefineMoved},
		{Name: "spawn", Do: s.awaitMoved, Timeout: time.Hour},
		{Name: "finish", Do: s.forgetCopies, Commit: s.moveFinished},
	}}
}

func (s *Servers) awaitRestored(ctx context.Context, r *moveRun) error {
	return s.restored(ctx, r.State.Back, r.Object)
}

func (s *Servers) awaitLeft(ctx context.Context, r *moveRun) error {
	_, err := s.settle(ctx, r.State.Left, r.Object)
	return err
}

func (s *Servers) carryThere(ctx context.Context, r *moveRun) error {
	return s.carry(ctx, r, r.State.Host)
}

func (s *Servers) carryHome(ctx context.Context, r *moveRun) error {
	if r.State.Before == nil {
		return nil
	}
	return s.carry(ctx, r, r.State.Before.Host)
}

func (s *Servers) awaitVacated(ctx context.Context, r *moveRun) error {
	return s.vacate(ctx, r.State.Gone, r.Object)
}

func (s *Servers) moveFailed(ctx context.Context, tx *db.Tx, r *moveRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if _, err := s.settleMove(ctx, tx, m, compute.MigrationFailed); err != nil {
		return err
	}
	return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
}

func (s *Servers) rankMove(ctx context.Context, r *moveRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	row, err := migrationRows.Get(ctx, s.DB, r.Params.Migration)
	if err != nil {
		return err
	}
	m := row.Data.V
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	if err := fitsDisks(disks[r.Object], &m.OldFlavor, &m.NewFlavor); err != nil {
		return err
	}
	want, err := s.wants(ctx, one, createParams{Zone: one.PinnedZone, Host: m.Asked})
	if err != nil {
		return err
	}
	if m.Kind != compute.Resize {
		want.Different = append(want.Different, m.SourceHost)
	}
	r.State.Disks = mint(2)
	r.State.Ranked, err = s.rank(ctx, m.NewFlavor, localRoot(disks[r.Object], m.NewFlavor), want)
	return err
}

// localRoot is how much of a host's disk a server's root takes.
func localRoot(disks []*Disk, f compute.Flavor) int {
	for _, d := range disks {
		if d.Kind == guest.DiskImage && d.Position == 0 {
			return max(f.RootGiB, d.SizeGiB)
		}
	}
	return 0
}

// fitsDisks refuses to make disks smaller.
func fitsDisks(disks []*Disk, from, to *compute.Flavor) error {
	ephemeral := 0
	for _, d := range disks {
		switch {
		case d.Kind == guest.DiskImage && d.Position == 0 && to.RootGiB < from.RootGiB:
			return fault.Invalidf("Resize error: Unable to resize disk down.")
		case d.Kind == guest.DiskBlank && d.SwapMiB == 0:
			ephemeral += d.SizeGiB
		}
	}
	if to.EphemGiB < ephemeral {
		return fault.Invalidf("Resize error: Unable to resize disk down.")
	}
	return nil
}

// claimMove takes room on the destination. What the server had goes to the
// migration as a consumer, so that the way back stays open.
func (s *Servers) claimMove(ctx context.Context, tx *db.Tx, r *moveRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if r.State.Held, err = s.Placement.AllocationsOf(ctx, tx, one.ID); err != nil {
		return err
	}
	if err := s.hold(ctx, tx, one, m, r.State.Held); err != nil {
		return err
	}
	ranked, err := s.groupAllows(ctx, tx, one, r.State.Ranked)
	if err != nil {
		return err
	}
	for _, host := range ranked {
		err := s.Placement.Claim(ctx, tx, placement.Claim{Allocations: host.Allocations, Consumer: consumerOf(one)})
		if fault.Is(err, fault.Conflict) {
			continue // somebody was faster
		}
		if err != nil {
			return err
		}
		disks, err := disksOf(ctx, tx, one.ID)
		if err != nil {
			return err
		}
		before := shapeOf(one, disks[one.ID])
		r.State.Host, r.State.Zone, r.State.Ranked, r.State.Before = host.Name, host.Zone, nil, &before
		m.DestHost, m.Status, m.UpdatedAt, m.Before = host.Name, compute.MigrationRunning, stamp(s.Clock), &before
		return putMigration(ctx, tx, m)
	}
	return errNoHost("The hosts that had room were taken meanwhile.")
}

// hold moves what a server has to its migration.
func (s *Servers) hold(ctx context.Context, tx *db.Tx, one *Server, m *migration, has placement.Allocations) error {
	if err := s.Placement.Release(ctx, tx, one.ID); err != nil {
		return err
	}
	return s.Placement.Claim(ctx, tx, placement.Claim{Allocations: has,
		Consumer: placement.Consumer{UUID: m.ID, ProjectID: one.ProjectID, UserID: one.UserID, Type: "MIGRATION"}})
}

func consumerOf(one *Server) placement.Consumer {
	return placement.Consumer{UUID: one.ID, ProjectID: one.ProjectID, UserID: one.UserID, Type: "INSTANCE"}
}

func (s *Servers) unclaimMove(ctx context.Context, tx *db.Tx, r *moveRun) error {
	if r.State.Before == nil {
		return nil // the claim was not committed
	}
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	return s.giveBack(ctx, tx, one, r.Params.Migration, r.State.Held)
}

// giveBack returns to a server what its migration held for it.
func (s *Servers) giveBack(ctx context.Context, tx *db.Tx, one *Server, mid string, held placement.Allocations) error {
	for _, consumer := range []string{one.ID, mid} {
		if err := s.Placement.Release(ctx, tx, consumer); err != nil {
			return err
		}
	}
	return s.Placement.Claim(ctx, tx, placement.Claim{Allocations: held, Consumer: consumerOf(one)})
}

func (s *Servers) stopForMove(ctx context.Context, tx *db.Tx, r *moveRun) error {
	r.State.Stopped = true
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Task = compute.ResizeMigrating
		if one.Desired != guest.Stopped {
			one.Desired = guest.Stopped
			one.PowerSerial++
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Stop, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	return err
}

func (s *Servers) startAgain(ctx context.Context, tx *db.Tx, r *moveRun) error {
	if !r.State.Stopped {
		return nil
	}
	r.State.Stopped = false
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		setPower(one, r.State.Before.Desired)
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Back, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	return err
}

// setPower makes a server be what it was before it was stopped for a move.
func setPower(one *Server, desired guest.Power) {
	if one.Desired = desired; desired != guest.Stopped {
		one.PowerSerial++
	}
}

// copyName names the copy of a disk that is made for a move.
func copyName(m string, d *Disk) string { return "move-" + m[:8] + "-" + d.GuestID }

func (s *Servers) copyDisks(ctx context.Context, r *moveRun) error {
	if !elsewhere(r) {
		return nil
	}
	r.State.Copies = map[string]int64{}
	for _, d := range r.State.Before.Disks {
		if d.SwapMiB > 0 {
			continue // made anew
		}
		name := copyName(r.Params.Migration, d)
		raw, err := s.Agents.Do(ctx, r.State.Before.Host, hostlink.Command{Token: r.Params.Migration + "/" + d.GuestID, Section: hostlink.Guests,
			Object: r.Object, Verb: "snapshot", Params: mustJSON(map[string]string{"disk": d.GuestID, "name": name}), Timeout: time.Hour})
		if err != nil {
			return err
		}
		var info guest.SnapshotInfo
		if err := json.Unmarshal(raw, &info); err != nil {
			return fault.Internalf("copy of disk %s: %w", d.GuestID, err)
		}
		r.State.Copies[d.GuestID] = info.SizeBytes
	}
	return nil
}

// forgetCopies removes them; a host that is gone keeps nothing that counts.
func (s *Servers) forgetCopies(ctx context.Context, r *moveRun) error {
	if !elsewhere(r) || !s.Agents.Alive(r.State.Before.Host) {
		return nil
	}
	host := r.State.Before.Host
	for _, d := range r.State.Before.Disks {
		token := r.Params.Migration + "/" + d.GuestID
		_, err := s.Agents.Do(ctx, host, hostlink.Command{Token: token + "/discard", Section: hostlink.Guests, Object: r.Object, Verb: "snapshot-discard",
			Params: mustJSON(map[string]string{"name": copyName(r.Params.Migration, d)})})
		if err != nil {
			return err
		}
		for _, t := range []string{token, token + "/discard"} {
			if err := s.Agents.Forget(ctx, host, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// after is the shape that a server has at the end of a move.
func (s *Servers) after(r *moveRun, m *migration, all []*Disk) shape {
	out := shape{Host: r.State.Host, Zone: r.State.Zone, Flavor: m.NewFlavor, Desired: r.State.Before.Desired}
	taken := map[int]bool{}
	for _, d := range all {
		taken[d.Position] = true
	}
	var swap, ephemeral bool
	for _, d := range r.State.Before.Disks {
		c := *d
		swap, ephemeral = swap || d.SwapMiB > 0, ephemeral || (d.Kind == guest.DiskBlank && d.SwapMiB == 0)
		switch {
		case d.SwapMiB > 0 && m.NewFlavor.SwapMiB == 0:
			continue
		case d.SwapMiB > 0:
			c.SwapMiB = m.NewFlavor.SwapMiB
		case d.Position == 0:
			c.SizeGiB = max(d.SizeGiB, m.NewFlavor.RootGiB)
		case d.GuestID == "ephemeral0":
			c.SizeGiB = max(d.SizeGiB, m.NewFlavor.EphemGiB)
		}
		switch {
		case d.SwapMiB > 0:
			c.Layers, c.From = nil, ""
		case elsewhere(r):
			c.Layers, c.From = nil, diskSource(m.ID, d.GuestID)
		default:
			c.Layers = append(append([]string{}, d.Layers...), fmt.Sprintf("r%d", m.Serial))
		}
		out.Disks = append(out.Disks, &c)
	}
	add := func(id string, d Disk) {
		for at := 1; at < 26; at++ {
			if !taken[at] {
				taken[at] = true
				d.ID, d.Server, d.Position, d.State, d.Defined, d.Kind = id, r.Object, at, diskAttached, true, guest.DiskBlank
				d.DeviceName = "/dev/vd" + string(rune('a'+at))
				out.Disks = append(out.Disks, &d)
				return
			}
		}
	}
	if !ephemeral && m.NewFlavor.EphemGiB > 0 {
		add(r.State.Disks[0], Disk{GuestID: "ephemeral0", SizeGiB: m.NewFlavor.EphemGiB})
	}
	if !swap && m.NewFlavor.SwapMiB > 0 {
		add(r.State.Disks[1], Disk{GuestID: "swap", SwapMiB: m.NewFlavor.SwapMiB})
	}
	return out
}

func (s *Servers) switchShape(ctx context.Context, tx *db.Tx, r *moveRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	disks, err := disksOf(ctx, tx, one.ID)
	if err != nil {
		return err
	}
	if elsewhere(r) {
		kept := keptSpec(one, disks[one.ID])
		m.Kept, m.KeptHost, m.Copies, one.Defined = &kept, one.Host, r.State.Copies, false
	}
	m.Status, m.UpdatedAt = compute.MigrationArriving, stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	if err := s.take(ctx, tx, one, s.after(r, m, disks[one.ID])); err != nil {
		return err
	}
	one.Task, one.UpdatedAt, r.State.Changed = compute.ResizeFinish, m.UpdatedAt, true
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	if elsewhere(r) {
		r.State.Left, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	}
	return err
}

// keptSpec is a guest as the host that it leaves keeps it: stopped, with its
// own disks only.
func keptSpec(one *Server, disks []*Disk) guest.Spec {
	var own []*Disk
	for _, d := range disks {
		if d.VolumeID == "" {
			own = append(own, d)
		}
	}
	spec := specOf(one, own, nil)
	spec.Power = guest.Stopped
	return spec
}

func (s *Servers) switchBack(ctx context.Context, tx *db.Tx, r *moveRun) error {
	if !r.State.Changed {
		return nil
	}
	r.State.Changed = false
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	m.Kept, m.KeptHost, m.UpdatedAt = nil, "", stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	if err := s.take(ctx, tx, one, *r.State.Before); err != nil {
		return err
	}
	one.Defined, one.UpdatedAt = true, m.UpdatedAt
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	r.State.Back, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	return err
}

// carry takes cards and volumes to a host, once the other has let go of them.
func (s *Servers) carry(ctx context.Context, r *moveRun, host string) error {
	if !elsewhere(r) {
		return nil
	}
	return s.carryTo(ctx, r.Object, host)
}

func (s *Servers) defineMoved(ctx context.Context, tx *db.Tx, r *moveRun) error {
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Defined = true
		setPower(one, r.State.Before.Desired)
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Spawn, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

// undefineMoved takes the guest off the destination. On the same host it is
// stopped again, so that nothing writes to disks whose layer goes.
func (s *Servers) undefineMoved(ctx context.Context, tx *db.Tx, r *moveRun) error {
	if !r.State.Changed {
		return nil
	}
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		if elsewhere(r) {
			one.Defined = false
			return nil
		}
		one.Desired = guest.Stopped
		one.PowerSerial++
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Gone, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

func (s *Servers) awaitMoved(ctx context.Context, r *moveRun) error {
	facts, err := s.settle(ctx, r.State.Spawn, r.Object)
	if err == nil && facts.Power == guest.Crashed {
		err = fault.Invalidf("The guest ended as soon as it was started.")
	}
	return err
}

func (s *Servers) moveFinished(ctx context.Context, tx *db.Tx, r *moveRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	now := stamp(s.Clock)
	m.Status, m.UpdatedAt = compute.MigrationFinished, now
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, now); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Task, one.Fault, one.LaunchedAt, one.Power = compute.Resized, compute.NoTask, nil, now, powerOf(one.Desired)
		return nil
	})
}

// powerOf is the power state of a server that its host has made as desired.
func powerOf(desired guest.Power) compute.PowerState {
	if desired == guest.Running {
		return compute.PowerRunning
	}
	return compute.PowerShutdown
}
