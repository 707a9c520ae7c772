package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stop ends a process: SIGTERM, then after grace SIGKILL for it and, unless it
// is Alone, for everything in its session and control group. Its record goes
// last. A process that does not run is no error.
func (s *Set) Stop(ctx context.Context, name string, grace time.Duration) error {
	defer s.lock(name)()
	r, ok := s.load(name)
	if !ok {
		return nil
	}
	if r.alive() {
		if err := s.end(ctx, r, grace); err != nil {
			return err
		}
	} else if !r.Alone {
		if err := s.killRest(r); err != nil {
			return err
		}
	}
	if err := os.Remove(s.recordPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget %s: %w", name, err)
	}
	return nil
}

// end stops the recorded process through a process descriptor, which cannot
// hit another process that got the same id.
func (s *Set) end(ctx context.Context, r record, grace time.Duration) error {
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", r.Name, err)
	}
	death := os.NewFile(uintptr(fd), "pidfd:"+r.Name)
	defer death.Close()
	if !r.alive() { // checked after opening: from here on the descriptor is the process
		return nil
	}
	if err := send(fd, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", r.Name, err)
	}
	soft, cancel := context.WithTimeout(ctx, grace)
	err = awaitDeath(soft, death)
	cancel()
	if err != nil {
		s.log.Warn("process ignores the request to end, killing it", "process", r.Name, "pid", r.PID)
		if err := send(fd, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill %s: %w", r.Name, err)
		}
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := awaitDeath(hard, death); err != nil {
			return fmt.Errorf("kill %s: %w", r.Name, err)
		}
	}
	if r.Alone {
		return nil
	}
	return s.killRest(r)
}

func send(pidfd int, sig syscall.Signal) error {
	err := unix.PidfdSendSignal(pidfd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// killRest ends what a process left behind: first by control group, which
// nothing escapes, else by session.
func (s *Set) killRest(r record) error {
	if r.Cgroup != "" {
		err := os.WriteFile(filepath.Join(r.Cgroup, "cgroup.kill"), []byte("1"), 0)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return removeCgroup(r.Cgroup)
		}
		return fmt.Errorf("kill the control group of %s: %w", r.Name, err)
	}
	if r.Boot != bootID() {
		return nil // nothing survives a reboot, and the session id means another one now
	}
	marker := s.marker(r.Name)
	return eachProcess(func(pid int) bool {
		st, err := readStat(pid)
		if err != nil || st.session != r.PID || pid == r.PID || st.state == 'Z' {
			return true
		}
		env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		if err == nil && strings.Contains(string(env), marker) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone in the meantime is what is wanted
		}
		return true
	})
}

// removeCgroup deletes an emptied group; the kernel needs a moment to let go.
func removeCgroup(dir string) error {
	var err error
	for range 100 {
		if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 5e6}, nil) // an early return only tries again sooner
	}
	return fmt.Errorf("remove control group: %w", err)
}

// awaitDeath returns when the process behind a descriptor has ended. The
// runtime's poller waits, not a thread. Zombies count as ended.
func awaitDeath(ctx context.Context, pidfd *os.File) error {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		_ = pidfd.SetReadDeadline(time.Unix(1, 0)) // wakes the wait below; a closed file has no waiter
	})
	defer stop()
	err = conn.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, 0)
		return err == nil && n == 1
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		if e := pidfd.SetReadDeadline(time.Time{}); e != nil {
			return fmt.Errorf("wait for process: %w", e)
		}
		return ctx.Err()
	}
	return fmt.Errorf("wait for process: %w", err)
}

// Wait returns nil when the process has ended, ErrNotRunning when it did not
// run, or the context's error.
func (s *Set) Wait(ctx context.Context, name string) error {
	r, ok := s.load(name)
	if !ok || !r.alive() {
		return ErrNotRunning
	}
	return r.ended(ctx)
}

// ended returns as Wait does.
func (r record) ended(ctx context.Context) error {
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return ErrNotRunning
	}
	f := os.NewFile(uintptr(fd), "pidfd:"+r.Name)
	defer f.Close()
	if !r.alive() {
		return ErrNotRunning
	}
	return awaitDeath(ctx, f)
}
