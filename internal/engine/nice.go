package engine

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/threads"
)

// prefer gives every thread of a process its niceness; those that they start
// inherit it. It is not part of a digest: a process need not be started anew
// for it.
func (s *Set) prefer(p Process, pid int) {
	if p.Nice == 0 {
		return
	}
	if err := renice(pid, p.Nice); err != nil {
		s.log.Warn("process keeps its priority; it works, but waits behind guests on a busy host", "process", p.Name, "error", err)
	}
}

func renice(pid, nice int) error {
	return threads.Each(threads.Proc, pid, func(tid int) error {
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil {
			return fmt.Errorf("priority of process %d: %w", pid, err)
		}
		return nil
	})
}
