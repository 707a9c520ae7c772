package task_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/task"
)

// TestStepsTakeTurns (I-36): no step works, or is undone, but in its project's
// turn, and each gives its turn back.
func TestStepsTakeTurns(t *testing.T) {
	type run = task.Run[struct{}, struct{}]
	synctest.Test(t, func(t *testing.T) {
		place := make(chan string, 1)
		turns := map[string]int{}
		begin := func(_ context.Context, project string) func() {
			place <- project
			turns[project]++
			return func() { <-place }
		}
		worked := 0
		work := func(context.Context, *run) error {
			worked++
			if len(place) != 1 {
				t.Error("a step works without a turn")
			}
			return nil
		}
		d := dbtest.SQLite(t)
		e := task.New(task.Options{DB: d, Clock: clock.Real{}, Owner: "test", Turn: begin})
		h := task.Register(e, task.Saga[struct{}, struct{}]{Name: "test.turns", Steps: []task.Step[struct{}, struct{}]{
			{Name: "one", Do: work, Undo: work},
			{Name: "two", Do: work, Undo: work},
			{Name: "three", Do: func(context.Context, *run) error { return fault.Invalidf("no") }, Undo: work},
		}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		synctest.Wait()
		for _, project := range []string{"a", "b", "b"} {
			if err := d.Write(ctx, func(tx *db.Tx) error {
				_, err := h.Enqueue(ctx, tx, task.Work{Object: id.New(), ProjectID: project}, struct{}{})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Idle(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if worked != 3*5 || turns["a"] == 0 || turns["b"] != 2*turns["a"] || len(turns) != 2 || len(place) != 0 {
			t.Errorf("%d steps worked in turns %v, %d are kept", worked, turns, len(place))
		}
	})
}
