package task_test

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

type try struct{ N int }

// What a saga enqueues by its last undo runs when it has ended, and not when
// somebody waits to delete the object.
func TestASagaFollowsAnother(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, deleted := range []bool{false, true} {
			e := task.New(task.Options{DB: d, Clock: clock.Real{}, Owner: "one"})
			var again, remove *task.Handle[try]
			ran, removed, follows := 0, 0, error(nil)
			remove = task.Register(e, task.Saga[try, struct{}]{Name: "remove", Steps: []task.Step[try, struct{}]{{Name: "remove",
				Commit: func(context.Context, *db.Tx, *task.Run[try, struct{}]) error { removed++; return nil }}}})
			again = task.Register(e, task.Saga[try, struct{}]{Name: "again", Steps: []task.Step[try, struct{}]{
				{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *task.Run[try, struct{}]) error {
					_, follows = again.Enqueue(ctx, tx, task.Work{Object: r.Object, Follows: r.ID}, try{r.Params.N + 1})
					if fault.Is(follows, fault.Conflict) {
						return nil
					}
					return follows
				}},
				{Name: "work", Do: func(ctx context.Context, r *task.Run[try, struct{}]) error {
					if deleted {
						err := d.Write(ctx, func(tx *db.Tx) error {
							_, err := remove.Enqueue(ctx, tx, task.Work{Object: r.Object, Preempt: true}, try{})
							return err
						})
						if err != nil {
							return err
						}
					}
					ran++
					if r.Params.N < 2 {
						return fault.Invalidf("not here")
					}
					return nil
				}},
			}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx) }()
			err := d.Write(ctx, func(tx *db.Tx) error {
				_, err := again.Enqueue(ctx, tx, task.Work{Object: "x"}, try{})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Idle(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			<-done
			if deleted && (ran != 1 || removed != 1 || !fault.Is(follows, fault.Conflict)) || !deleted && (ran != 3 || removed != 0) {
				t.Errorf("deleted %v: ran %d times, removed %d times, %v", deleted, ran, removed, follows)
			}
		}
	})
}
