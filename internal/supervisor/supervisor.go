package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/engine"
)

const (
	firstPause = 250 * time.Millisecond // after the first restart, which is at once
	lastPause  = 30 * time.Second
	readyPause = 2 * time.Second // the longest for a process that had come up: somebody waits for it
	steady     = time.Minute     // a process that ran this long is healthy
)

// Config is what a supervisor looks after.
type Config struct {
	Set    *engine.Set
	Stages [][]engine.Process // started in this order
	Clock  clock.Clock
	Log    *slog.Logger
	// Chores run every Every, first after the last stage is up; nil: none.
	Chores func(ctx context.Context) error
	Every  time.Duration
}

// Run supervises until ctx ends. The processes go on then.
func Run(ctx context.Context, c Config) error {
	if err := c.Set.Adopt(ctx); err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, stage := range c.Stages {
		var tried sync.WaitGroup
		for _, p := range stage {
			tried.Add(1)
			all.Go(func() { c.keep(ctx, p, sync.OnceFunc(tried.Done)) })
		}
		tried.Wait()
	}
	if c.Chores != nil {
		all.Go(func() { c.chores(ctx) })
	}
	all.Wait()
	return nil
}

// keep runs one process for ever; tried is called once it was ready or failed.
func (c Config) keep(ctx context.Context, p engine.Process, tried func()) {
	defer tried()
	var pause time.Duration
	for ctx.Err() == nil {
		begun := c.Clock.Now()
		st, err := c.Set.Ensure(ctx, p)
		tried()
		if err != nil && ctx.Err() == nil {
			c.Log.Error("process is not ready", "process", p.Name, "error", err)
		} else if err == nil && !st.Adopted {
			c.Log.Info("process is ready", "process", p.Name, "pid", st.PID, "after", c.Clock.Now().Sub(begun).Round(time.Millisecond))
		}
		if st.Running {
			if err := c.Set.Wait(ctx, p.Name); err != nil && !errors.Is(err, engine.ErrNotRunning) {
				if ctx.Err() != nil {
					return
				}
				c.Log.Error("cannot watch process", "process", p.Name, "error", err)
			}
			c.Log.Warn("process ended, starting it again", "process", p.Name, "pid", st.PID)
		}
		if c.Clock.Now().Sub(begun) >= steady {
			pause = 0
		}
		select {
		case <-ctx.Done():
		case <-c.Clock.After(pause):
		}
		pause = min(max(2*pause, firstPause), lastPause)
		if err == nil {
			pause = min(pause, readyPause)
		}
	}
}

func (c Config) chores(ctx context.Context) {
	for {
		if err := c.Chores(ctx); err != nil {
			c.Log.Error("chore failed, trying again later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.Clock.After(c.Every):
		}
	}
}
