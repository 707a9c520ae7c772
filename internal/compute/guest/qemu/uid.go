package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

// ids hands out user ids (and equal group ids) for processes of this machine.
// Several clouds may share the machine, so what is taken stands as files in a
// folder that all of them use, under a lock. The folder is emptied by a restart
// of the machine, as is the need for it.
type ids struct {
	dir   string
	first int
	count int
	clock clock.Clock
}

// take reserves an id for owner, which is unique among the machine's guests.
// An owner that has one already gets the same again.
func (a *ids) take(owner string) (int, error) {
	unlock, err := a.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	taken, err := a.taken()
	if err != nil {
		return 0, err
	}
	for n, by := range taken {
		if by == owner {
			return n, nil
		}
	}
	for n := a.first; n < a.first+a.count; n++ {
		if _, ok := taken[n]; ok {
			continue
		}
		if err := os.WriteFile(filepath.Join(a.dir, strconv.Itoa(n)), []byte(owner), 0o600); err != nil {
			return 0, fmt.Errorf("reserve a user id: %w", err)
		}
		return n, nil
	}
	return 0, fault.Unavailablef("the host has no user id left for another guest")
}

// release gives back what owner has. Nothing to give back is fine.
func (a *ids) release(owner string) error {
	return a.releaseIf(func(by string) bool { return by == owner })
}

// releaseIf gives back every id whose owner is one of these. Processes that
// still run under one for its owner are ended first: where there are no cgroups,
// nothing else finds those whose start was never recorded.
func (a *ids) releaseIf(owned func(owner string) bool) error {
	unlock, err := a.lock()
	if err != nil {
		return err
	}
	defer unlock()
	taken, err := a.taken()
	if err != nil {
		return err
	}
	for n, by := range taken {
		if !owned(by) {
			continue
		}
		if err := a.endProcesses(n, by); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(a.dir, strconv.Itoa(n))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("give a user id back: %w", err)
		}
	}
	return nil
}

func (a *ids) taken() (map[int]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, fmt.Errorf("list the user ids taken: %w", err)
	}
	taken := map[int]string{}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // the lock
		}
		by, err := os.ReadFile(filepath.Join(a.dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("see who has user id %d: %w", n, err)
		}
		taken[n] = strings.TrimSpace(string(by))
	}
	return taken, nil
}

func (a *ids) lock() (unlock func(), err error) {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of user ids: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(a.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the user ids: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close() // never locked
		return nil, fmt.Errorf("lock the user ids: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing unlocks, and nothing was written
}

// ownerVariable marks the processes of an owner, in their environment: a folder of
// ids that is not the machine's (a test's, another installation's) gives the same
// ids to others.
const ownerVariable = "MEK_OWNER"

// startLimit is how long a process may be on its way into a program.
const startLimit = 2 * time.Second

// endProcesses kills what runs under a user id for owner and waits until it is gone.
func (a *ids) endProcesses(uid int, owner string) error {
	limit := a.clock.After(startLimit)
	for {
		pids, starting, err := runningFor(uid, owner)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if err := endProcess(pid); err != nil {
				return fmt.Errorf("end process %d of user id %d: %w", pid, uid, err)
			}
		}
		switch {
		case len(pids) > 0: // they may have started others
		case !starting:
			return nil
		default:
			select {
			case <-a.clock.After(time.Millisecond):
			case <-limit:
				return nil // it shows no environment to anybody, so it is not the owner's
			}
		}
	}
}

// runningFor finds who runs under a user id for owner. Guests' processes can be
// dumped, if only in theory, so their folders in /proc belong to that id. A process
// that the kernel is just giving its program has no environment yet that would tell
// whose it is: starting says that there is one.
func runningFor(uid int, owner string) (pids []int, starting bool, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, false, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		var stat unix.Stat_t
		if unix.Stat("/proc/"+e.Name(), &stat) != nil || int(stat.Uid) != uid {
			continue // ended meanwhile, or another's
		}
		environ, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || len(environ) > 0 && !slices.Contains(strings.Split(string(environ), "\x00"), ownerVariable+"="+owner) {
			continue // the same
		}
		switch _, alive, err := startTicks(pid); {
		case err != nil || !alive:
		case len(environ) == 0:
			starting = true
		default:
			pids = append(pids, pid)
		}
	}
	return pids, starting, nil
}

// endProcess kills a process and waits for its end.
func endProcess(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, int(emptyLimit.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return fault.Unavailablef("the server's process does not end")
		default:
			return nil
		}
	}
}
