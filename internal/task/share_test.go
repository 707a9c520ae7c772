package task_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/task"
)

// Steps that need no record of their own share one: a saga of eight steps costs
// three writes. One whose record fails among others' unwinds from itself.
func TestStepsShareRecords(t *testing.T) {
	type run = task.Run[struct{}, struct{}]
	for name, c := range map[string]struct {
		refuse bool
		writes int64
		log    []string
	}{
		"done":    {writes: 3, log: []string{"make", "keep", "wait", "note", "wait again", "end"}},
		"unwound": {refuse: true, writes: 10, log: []string{"make", "keep", "wait", "note", "note", "not note", "unmake", "not skipped"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log []string
				do := func(what string) func(context.Context, *run) error {
					return func(context.Context, *run) error { log = append(log, what); return nil }
				}
				commit := func(what string, err error) func(context.Context, *db.Tx, *run) error {
					return func(context.Context, *db.Tx, *run) error { log = append(log, what); return err }
				}
				var refusal error
				if c.refuse {
					refusal = fault.Invalidf("no")
				}
				d := dbtest.SQLite(t)
				e := task.New(task.Options{DB: d, Clock: clock.Real{}, Owner: "test"})
				h := task.Register(e, task.Saga[struct{}, struct{}]{Name: "test.share", Steps: []task.Step[struct{}, struct{}]{
					{Name: "begin", UndoCommit: commit("", nil)},
					{Name: "make", Do: do("make"), Commit: commit("keep", nil), Undo: do("unmake")},
					{Name: "skipped", Do: do("skipped"), Undo: do("not skipped"), Skip: func(*run) bool { return true }},
					{Name: "wait", Do: do("wait")},
					{Name: "back", Undo: do("")},
					{Name: "note", Commit: commit("note", refusal), UndoCommit: commit("not note", nil)},
					{Name: "again", Do: do("wait again")},
					{Name: "end", Do: do("end")},
				}})
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- e.Run(ctx) }()
				synctest.Wait()
				if err := d.Write(ctx, func(tx *db.Tx) error {
					_, err := h.Enqueue(ctx, tx, task.Work{Object: id.New()}, struct{}{})
					return err
				}); err != nil {
					t.Fatal(err)
				}
				before := d.Counts().Writes
				if err := e.Idle(ctx); err != nil {
					t.Error(err)
				}
				if n := d.Counts().Writes - before; n > c.writes {
					t.Errorf("%d writes, not %d", n, c.writes)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				log = slices.DeleteFunc(log, func(what string) bool { return what == "" })
				slices.Sort(log)
				slices.Sort(c.log)
				if !slices.Equal(log, c.log) {
					t.Errorf("%v happened, not %v", log, c.log)
				}
			})
		})
	}
}
