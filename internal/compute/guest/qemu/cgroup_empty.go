package qemu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
)

// emptyLimit is how long killed processes may take to leave their cgroup.
const emptyLimit = 10 * time.Second

// empty kills what is in a group and removes it, which the kernel allows once
// the dead have left. A group that is not there is fine.
func (g *groups) empty(ctx context.Context, c clock.Clock, name string) error {
	ctx, cancel := context.WithTimeout(ctx, emptyLimit)
	defer cancel()
	if err := g.kill(name); err != nil {
		return err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := g.remove(name)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-c.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("empty cgroup: %w", errors.Join(err, context.Cause(ctx)))
		}
	}
}
