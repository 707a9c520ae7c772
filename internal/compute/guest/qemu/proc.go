package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a QEMU process, a child of ours or one that an earlier driver started.
type process struct {
	pid   int
	ticks uint64 // start time; with the pid and the boot id it names a process for good
	pidfd *os.File
	gone  chan struct{} // closed when it is dead
	child *os.Process   // nil for an adopted one
	once  sync.Once
}

// bootID names this run of the host's kernel.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// startTicks reads when a process started, in clock ticks since boot, and
// whether it lives; a zombie does not.
func startTicks(pid int) (ticks uint64, alive bool, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look at process %d: %w", pid, err)
	}
	ticks, state, err := parseStat(b)
	return ticks, err == nil && state != 'Z' && state != 'X', err
}

// parseStat reads state and start time out of /proc/PID/stat. The name in
// parentheses is the process's own choice and may contain anything.
func parseStat(b []byte) (ticks uint64, state byte, err error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, 0, errors.New("process status without a name")
	}
	fields := bytes.Fields(b[end+1:])
	const startTime = 19 // field 22, counted from the state (field 3)
	if len(fields) <= startTime {
		return 0, 0, errors.New("process status is cut short")
	}
	ticks, err = strconv.ParseUint(string(fields[startTime]), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("process status: %w", err)
	}
	return ticks, fields[0][0], nil
}

// openProcess takes hold of a living process, or answers nil when the one that
// started at ticks is gone. child is given for one of our own.
func openProcess(pid int, ticks uint64, child *os.Process) (*process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take hold of process %d: %w", pid, err)
	}
	p := &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd"), gone: make(chan struct{}), child: child}
	now, alive, err := startTicks(pid)
	if err != nil || (child == nil && (!alive || now != ticks)) {
		_ = p.pidfd.Close() // nothing was done with it
		return nil, err
	}
	p.ticks = now
	return p, nil
}

// await blocks until the process is dead or let go of, without holding a thread.
func (p *process) await() {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return // let go of already
	}
	dead := false
	err = conn.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		dead = n > 0 && err == nil
		return dead
	})
	if err == nil && dead {
		p.bury()
	}
}

// bury reaps a dead child and tells everybody.
func (p *process) bury() {
	p.once.Do(func() {
		if p.child != nil {
			_, _ = p.child.Wait() // dead; how it died is said by nobody's exit status but in the log
		}
		close(p.gone)
	})
}

// kill ends the process at once.
func (p *process) kill() error {
	err := unix.PidfdSendSignal(int(p.pidfd.Fd()), syscall.SIGKILL, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// letGo stops watching; the process goes on.
func (p *process) letGo() { _ = p.pidfd.Close() }
