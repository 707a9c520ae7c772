package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

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

// shortTurn is how long what goes before others asks to run at a time: less than
// anybody else, so that it is let in when it wakes up, not when the other's turn
// ends. Kernels before 6.12 take no notice.
const shortTurn = 100 * time.Microsecond

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
		how := unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: int32(nice)}
		if nice < 0 {
			how.Runtime = uint64(shortTurn)
		}
		if err := unix.SchedSetAttr(tid, &how, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("priority of process %d: %w", pid, err)
		}
	}
	return nil
}
