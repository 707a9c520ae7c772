package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/task"
)

type nicParams struct {
	Port string `json:"port"`
}

type nicState struct {
	Card  network.Interface `json:"card"`
	Bound []network.Binding `json:"bound,omitempty"`
	Set   place             `json:"set"`
	Gone  place             `json:"gone"`
	Lost  bool              `json:"lost,omitempty"` // a detach went too far to come back
}

type nicRun = task.Run[nicParams, nicState]

func (s *Servers) attachInterfaceSaga() task.Saga[nicParams, nicState] {
	return task.Saga[nicParams, nicState]{Name: "compute.interface.attach", Concurrent: true, Steps: []task.Step[nicParams, nicState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *nicRun) error {
			if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
				return err
			}
			return dropNIC(ctx, tx, r.Params.Port)
		}},
		{Name: "port", Do: s.makeCard, Commit: func(ctx context.Context, tx *db.Tx, r *nicRun) error {
			return s.changeNIC(ctx, tx, r, func(n *NIC) { n.Facts = r.State.Card })
		}, Undo: func(ctx context.Context, r *nicRun) error { return s.Networks.Release(ctx, r.Params.Port) }},
		{Name: "plug", Do: func(ctx context.Context, r *nicRun) error { return s.awaitBound(ctx, r.State.Bound) }},
		{Name: "vacated", Undo: func(ctx context.Context, r *nicRun) error { return s.vacate(ctx, r.State.Gone, r.Object) }},
		{Name: "define", Commit: func(ctx context.Context, tx *db.Tx, r *nicRun) (err error) {
			r.State.Set, err = s.defineNIC(ctx, tx, r, true)
			return err
		}, UndoCommit: func(ctx context.Context, tx *db.Tx, r *nicRun) (err error) {
			r.State.Gone, err = s.defineNIC(ctx, tx, r, false)
			return err
		}},
		{Name: "settle", Do: func(ctx context.Context, r *nicRun) error { _, err := s.settle(ctx, r.State.Set, r.Object); return err }},
		{Name: "end", Commit: func(ctx context.Context, tx *db.Tx, r *nicRun) error {
			return endAction(ctx, tx, r.Object, r.RequestID, r.State.Set.Host, nil, stamp(s.Clock))
		}},
	}, Deadline: 5 * time.Minute}
}

func (s *Servers) makeCard(ctx context.Context, r *nicRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	n, err := getNIC(ctx, s.DB, r.Object, r.Params.Port)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		card, bound, err := s.Networks.Attach(ctx, tx, n.Plan, attachment(one))
		r.State.Card, r.State.Bound = card, []network.Binding{bound}
		return err
	})
}

func (s *Servers) changeNIC(ctx context.Context, tx *db.Tx, r *nicRun, fn func(n *NIC)) error {
	n, err := getNIC(ctx, tx, r.Object, r.Params.Port)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	fn(n)
	return putNIC(ctx, tx, n)
}

func (s *Servers) defineNIC(ctx context.Context, tx *db.Tx, r *nicRun, defined bool) (place, error) {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return place{}, err
	}
	if err := s.changeNIC(ctx, tx, r, func(n *NIC) { n.Defined = defined }); err != nil {
		return place{}, err
	}
	return s.raise(ctx, tx, one.Host, one.ID)
}

func (s *Servers) detachInterfaceSaga() task.Saga[nicParams, nicState] {
	return task.Saga[nicParams, nicState]{Name: "compute.interface.detach", Concurrent: true, Steps: []task.Step[nicParams, nicState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *nicRun) error {
			if err := endAction(ctx, tx, r.Object, r.RequestID, "", r.Err, stamp(s.Clock)); err != nil {
				return err
			}
			if r.State.Lost {
				return dropNIC(ctx, tx, r.Params.Port)
			}
			_, err := s.defineNIC(ctx, tx, r, true)
			return err
		}},
		{Name: "undefine", Commit: func(ctx context.Context, tx *db.Tx, r *nicRun) (err error) {
			r.State.Gone, err = s.defineNIC(ctx, tx, r, false)
			return err
		}},
		{Name: "settle", Do: func(ctx context.Context, r *nicRun) error { return s.vacate(ctx, r.State.Gone, r.Object) }},
		{Name: "release", Do: func(ctx context.Context, r *nicRun) error { return s.Networks.Release(ctx, r.Params.Port) },
			Undo: func(ctx context.Context, r *nicRun) error { // whether it was released cannot be known: it is now
				r.State.Lost = true
				return s.Networks.Release(ctx, r.Params.Port)
			}},
		{Name: "end", Commit: func(ctx context.Context, tx *db.Tx, r *nicRun) error {
			if err := dropNIC(ctx, tx, r.Params.Port); err != nil {
				return err
			}
			return endAction(ctx, tx, r.Object, r.RequestID, r.State.Gone.Host, nil, stamp(s.Clock))
		}},
	}, Deadline: 5 * time.Minute}
}
