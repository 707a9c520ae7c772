package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// A process that was stopped finds out when it goes on, once each time.
func TestStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, told := clock.NewFake(time.Unix(1, 0)), 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- standsStill(ctx, c, func(time.Duration) { told++ }) }()
		for i, step := range []struct {
			by   time.Duration
			want int
		}{{heartbeat, 0}, {heartbeat + time.Second, 0}, {8 * time.Second, 1}, {heartbeat, 1}, {heartbeat + stalled, 2}} {
			synctest.Wait()
			c.Advance(step.by)
			synctest.Wait()
			if told != step.want {
				t.Errorf("step %d: told %d times, not %d", i, told, step.want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
