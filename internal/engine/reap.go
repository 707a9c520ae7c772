package engine

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt makes this process inherit orphans of its descendants and reaps them
// until ctx ends. A supervisor calls it once, before it starts anything.
//
// Only zombies seen in two rounds are reaped: those that os/exec is about to
// wait for never last that long, so their exit status is not taken away.
func (s *Set) Adopt(ctx context.Context) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	go func() {
		seen := map[int]bool{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.clock.After(2 * time.Second):
				seen = s.reapOrphans(seen)
			}
		}
	}()
	return nil
}

func (s *Set) reapOrphans(before map[int]bool) map[int]bool {
	self, now := os.Getpid(), map[int]bool{}
	err := eachProcess(func(pid int) bool {
		st, err := readStat(pid)
		if err != nil || st.parent != self || st.state != 'Z' || s.waitsFor(pid) {
			return true
		}
		if !before[pid] {
			now[pid] = true
			return true
		}
		if _, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err != nil {
			s.log.Debug("zombie was reaped by another", "pid", pid, "error", err)
		}
		return true
	})
	if err != nil {
		s.log.Warn("cannot look for zombies", "error", err)
	}
	return now
}

func (s *Set) waitsFor(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.own[pid]
	return ok
}
