package task_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task"
)

// wallClock is set by somebody; time goes on all the same.
type wallClock struct {
	clock.Real
	by atomic.Int64
}

func (w *wallClock) Now() time.Time {
	return w.Real.Now().Round(0).Add(time.Duration(w.by.Load()))
}

// A saga that is tried again goes on as if the clock had not been set (I-41).
func TestClockSetWhileASagaWaits(t *testing.T) {
	for name, by := range map[string]time.Duration{"hour on": time.Hour, "hour back": -time.Hour, "day on": 24 * time.Hour, "day back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { clockSet(t, by) }) })
	}
}

func clockSet(t *testing.T, by time.Duration) {
	now, tries, began := new(wallClock), 0, time.Now()
	s := alone(t, now, task.Saga[struct{}, struct{}]{Name: "test.stubborn", Steps: []task.Step[struct{}, struct{}]{
		{Name: "try", Do: func(context.Context, *task.Run[struct{}, struct{}]) error {
			tries++
			return fault.Unavailablef("not yet")
		}}}, Deadline: 5 * time.Minute})
	time.Sleep(time.Minute)
	now.by.Store(int64(by))
	before := tries
	time.Sleep(time.Minute)
	if tries-before < 4 {
		t.Errorf("%d tries in the minute after the clock was set", tries-before)
	}
	s.end()
	if took := time.Since(began); took < 5*time.Minute || took > 5*time.Minute+30*time.Second {
		t.Errorf("a deadline of five minutes was over after %v", took)
	}
}
