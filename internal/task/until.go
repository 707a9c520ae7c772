package task

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// The pauses of Until: between two looks while sagas end all the time, and
// between looks when none ends here.
const (
	firstLook = 2 * time.Millisecond
	lastLook  = 50 * time.Millisecond
	lookAgain = 250 * time.Millisecond
)

// Until looks until something has come about that a saga brings about: at once,
// and then whenever sagas have ended here, though less often the longer it takes.
// What a saga of another server brings about is seen a quarter of a second later.
// It returns what look says, or why ctx ended.
func (e *Engine) Until(ctx context.Context, look func() (done bool, err error)) error {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		rested := clock.Real{}.After(pause)
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-clock.Real{}.After(lookAgain):
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rested:
		}
	}
}
