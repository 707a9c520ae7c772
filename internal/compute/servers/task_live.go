package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

// liveSaga takes a running server to another host: the destination's guest
// takes over, and only then the source lets go of its own. Both drivers must be
// able to (guest.Capabilities.LiveMigration).
func (s *Servers) liveSaga() task.Saga[moveParams, moveState] {
	return task.Saga[moveParams, moveState]{Name: "compute.server.live", Deadline: 4 * time.Hour, Steps: []task.Step[moveParams, moveState]{
		{Name: "begin", UndoCommit: s.liveFailed},
		{Name: "claim-host", Do: s.rankMigration, Commit: s.claimLive, UndoCommit: s.unclaimMove},
		{Name: "restored", Undo: s.awaitRestored},
		{Name: "switch", Commit: s.switchLive, UndoCommit: s.switchBack},
		{Name: "left", Do: s.awaitLeft},
		{Name: "devices", Do: s.carryThere, Undo: s.carryHome, Timeout: time.Hour},
		{Name: "vacated", Undo: s.awaitVacated},
		{Name: "define", Commit: s.defineLive, UndoCommit: s.undefineMoved},
		{Name: "spawn", Do: s.awaitMoved, Timeout: time.Hour},
		{Name: "hand-over", Commit: s.handOver},
		{Name: "released", Do: func(ctx context.Context, r *moveRun) error { return s.removed(ctx, r.Object, r.State.Left) }},
		{Name: "finish", Commit: s.liveFinished},
	}}
}

func (s *Servers) liveFailed(ctx context.Context, tx *db.Tx, r *moveRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	status := compute.MigrationFailed
	if m.Abort {
		status = "cancelled"
	}
	if _, err := s.settleMove(ctx, tx, m, status); err != nil {
		return err
	}
	return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
}

func (s *Servers) rankMigration(ctx context.Context, r *moveRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	row, err := migrationRows.Get(ctx, s.DB, r.Params.Migration)
	if err != nil {
		return err
	}
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	r.State.Ranked, err = s.rankLive(ctx, one, disks[r.Object], row.Data.V.Asked)
	return err
}

// errAborted is why an aborted migration unwinds.
var errAborted = fault.Invalidf("The live migration was aborted.")

func (s *Servers) claimLive(ctx context.Context, tx *db.Tx, r *moveRun) error {
	if err := s.claimMove(ctx, tx, r); err != nil {
		return err
	}
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if m.Abort {
		return errAborted
	}
	m.Status = "preparing"
	return putMigration(ctx, tx, m)
}

func (s *Servers) switchLive(ctx context.Context, tx *db.Tx, r *moveRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if m.Abort {
		return errAborted
	}
	disks, err := disksOf(ctx, tx, one.ID)
	if err != nil {
		return err
	}
	kept := keptSpec(one, disks[one.ID])
	kept.Power = one.Desired // it runs on until the other does
	m.Kept, m.KeptHost, m.Status, m.UpdatedAt = &kept, one.Host, "running", stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	if err := s.take(ctx, tx, one, *s.sameElsewhere(r)); err != nil {
		return err
	}
	one.Defined, one.UpdatedAt, r.State.Changed = false, m.UpdatedAt, true
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	r.State.Left, err = s.raise(ctx, tx, r.State.Before.Host, r.Object)
	return err
}

// sameElsewhere is the server as it was, on its new host, with disks that are
// made there.
func (s *Servers) sameElsewhere(r *moveRun) *shape {
	out := *r.State.Before
	out.Host, out.Zone, out.Disks = r.State.Host, r.State.Zone, nil
	for _, d := range r.State.Before.Disks {
		c := *d
		c.Layers, c.From = nil, ""
		out.Disks = append(out.Disks, &c)
	}
	return &out
}

func (s *Servers) defineLive(ctx context.Context, tx *db.Tx, r *moveRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if m.Abort {
		return errAborted
	}
	err = s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Defined = true
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Spawn, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

// handOver lets the source drop its guest: the destination's runs.
func (s *Servers) handOver(ctx context.Context, tx *db.Tx, r *moveRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	host := m.KeptHost
	m.Kept, m.KeptHost, m.Status, m.UpdatedAt = nil, "", compute.MigrationArriving, stamp(s.Clock)
	if err := putMigration(ctx, tx, m); err != nil {
		return err
	}
	r.State.Left, err = s.raise(ctx, tx, host, r.Object)
	return err
}

func (s *Servers) liveFinished(ctx context.Context, tx *db.Tx, r *moveRun) error {
	m, err := lockMigration(ctx, tx, r.Params.Migration)
	if err != nil {
		return err
	}
	if _, err := s.settleMove(ctx, tx, m, compute.MigrationCompleted); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, m.UpdatedAt); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Task, one.Fault = compute.NoTask, nil
		return nil
	})
}
