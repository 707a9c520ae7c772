package task_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/task"
)

// TestUntilIsToldOfSagas: who waits for what a saga makes looks when it has
// ended, long before the time after which it would look anyway.
func TestUntilIsToldOfSagas(t *testing.T) {
	address := "sqlite://" + filepath.Join(t.TempDir(), "mek.db")
	synctest.Test(t, func(t *testing.T) {
		d, err := db.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		e := task.New(task.Options{DB: d, Clock: clock.Real{}, Owner: "one"})
		begun, finish := make(chan struct{}), make(chan struct{})
		work := task.Register(e, task.Saga[try, struct{}]{Name: "work", Steps: []task.Step[try, struct{}]{{Name: "work",
			Do: func(context.Context, *task.Run[try, struct{}]) error { close(begun); <-finish; return nil },
			Commit: func(ctx context.Context, tx *db.Tx, _ *task.Run[try, struct{}]) error {
				return put(ctx, tx, "made", "yes")
			}}}})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- e.Run(ctx) }()
		err = d.Write(ctx, func(tx *db.Tx) error {
			_, err := work.Enqueue(ctx, tx, task.Work{Object: "x"}, try{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		looks := 0
		waited := make(chan error, 1)
		go func() {
			waited <- e.Until(ctx, func() (bool, error) {
				looks++
				return facts(ctx, t, d)["made"] == "yes", nil
			})
		}()
		<-time.After(10 * time.Millisecond)
		at := time.Now()
		close(finish)
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(at); took > 10*time.Millisecond || looks != 2 {
			t.Errorf("%d looks, the last %v after the saga ended", looks, took)
		}

		broken := errors.New("broken")
		if err := e.Until(ctx, func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
			t.Errorf("an error of the look: %v", err)
		}
		at = time.Now()
		if err := e.Until(ctx, func() (bool, error) { return time.Since(at) > 0, nil }); err != nil || time.Since(at) != 250*time.Millisecond {
			t.Errorf("without a saga: %v after %v", err, time.Since(at))
		}
		cancel()
		if err := e.Until(ctx, func() (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}
