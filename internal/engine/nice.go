package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
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
	tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
	if err != nil {
		return fmt.Errorf("threads of process %d: %w", pid, err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue // not a thread
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("priority of process %d: %w", pid, err)
		}
	}
	return nil
}
