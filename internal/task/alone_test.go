package task_test

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/task"
)

// lone is an engine at work on one saga, in a bubble of virtual time.
type lone struct {
	t      *testing.T
	engine *task.Engine
	ctx    context.Context
	cancel context.CancelFunc
	done   chan error
}

// alone begins a saga that has no others beside it.
func alone(t *testing.T, c clock.Clock, s task.Saga[struct{}, struct{}]) *lone {
	t.Helper()
	d := dbtest.SQLite(t)
	r := &lone{t: t, engine: task.New(task.Options{DB: d, Clock: c, Owner: "test"}), done: make(chan error, 1)}
	h := task.Register(r.engine, s)
	if err := d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := h.Enqueue(t.Context(), tx, task.Work{Object: id.New()}, struct{}{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go func() { r.done <- r.engine.Run(r.ctx) }()
	return r
}

// end waits until the saga is over, and ends the engine.
func (r *lone) end() {
	r.t.Helper()
	if err := r.engine.Idle(r.ctx); err != nil {
		r.t.Error(err)
	}
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
}
