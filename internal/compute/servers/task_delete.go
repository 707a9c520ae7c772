package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

type removeParams struct{}

type removeState struct {
	Gone place `json:"gone"`
	Kept place `json:"kept"` // where a move kept a guest to go back to
}

type removeRun = task.Run[removeParams, removeState]

// removeSaga deletes a server. It has no way back: a step that fails for good
// leaves the server in ERROR, and deleting it again goes on.
func (s *Servers) removeSaga() task.Saga[removeParams, removeState] {
	return task.Saga[removeParams, removeState]{Name: "compute.server.delete", Steps: []task.Step[removeParams, removeState]{
		{Name: "begin", UndoCommit: s.removeFailed},
		{Name: "undefine", Commit: s.removeGuest},
		{Name: "vacated", Do: s.awaitRemoval},
		{Name: "ports", Do: s.removePorts},
		{Name: "volumes", Do: s.detachVolumes},
		{Name: "gone", Commit: s.removeRows},
	}, Deadline: 24 * time.Hour}
}

func (s *Servers) removeFailed(ctx context.Context, tx *db.Tx, r *removeRun) error {
	if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Task = compute.VMError, compute.NoTask
		s.failed(one, r.Err, r.RequestID)
		return nil
	})
}

func (s *Servers) removeGuest(ctx context.Context, tx *db.Tx, r *removeRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	one.Defined, one.Task = false, compute.Deleting
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	if r.State.Gone, err = s.raise(ctx, tx, one.Host, one.ID); err != nil {
		return err
	}
	m, err := unsettledOf(ctx, tx, one.ID)
	if err != nil || m == nil {
		return err
	}
	r.State.Kept, err = s.settleMove(ctx, tx, m, compute.MigrationConfirmed)
	return err
}

// awaitRemoval tries for as long as the host is there: a guest that cannot be
// removed keeps its ports and volumes.
func (s *Servers) awaitRemoval(ctx context.Context, r *removeRun) error {
	return s.removed(ctx, r.Object, r.State.Gone, r.State.Kept)
}

func (s *Servers) removePorts(ctx context.Context, r *removeRun) error {
	nics, err := nicsOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	for _, n := range nics[r.Object] {
		if err := s.Networks.Release(ctx, n.PortID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Servers) detachVolumes(ctx context.Context, r *removeRun) error {
	if err := s.dropShelved(ctx, r.Object); err != nil {
		return err
	}
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		if d.VolumeID == "" {
			continue
		}
		if err := s.Volumes.Detach(ctx, d.ID); err != nil {
			return err
		}
		if d.DeleteOnTermination {
			if err := s.Volumes.Discard(ctx, d.VolumeID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Servers) removeRows(ctx context.Context, tx *db.Tx, r *removeRun) error {
	if err := s.Placement.Release(ctx, tx, r.Object); err != nil {
		return err
	}
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	if err := keepLife(ctx, tx, one, stamp(s.Clock)); err != nil {
		return err
	}
	if err := deleteServer(ctx, tx, r.Object); err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Gone.Host, nil, stamp(s.Clock)); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, event.Record{Service: "compute", Action: "delete.end", Kind: "server", Object: r.Object, ProjectID: r.ProjectID,
		UserID: r.UserID, RequestID: r.RequestID})
}
