package ovs

import (
	"context"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/threads"
)

// A switch in userspace forwards in one thread, for all guests. On a busy host it
// waits a millisecond or two for its turn whenever a frame comes, whatever its
// niceness, and frames of one guest that sends many then stand in front of all
// others'. So its threads run as those of real time, which are let in at once: all
// of them, since the one that forwards waits for locks that the others hold. A
// switch that is flooded would take processors from all else that way: while it
// has more to do than a share of one, it takes its turns like others again.

const (
	hastenEvery  = time.Second
	hastenBelow  = 0.3 // of a processor
	restrainFrom = 0.5
	switchNice   = -10 // as it is started
)

// hasten looks after the switch's threads until ctx ends.
func (d *Driver) hasten(ctx context.Context, pid int) {
	if !d.cfg.Userspace || pid == 0 || runtime.NumCPU() < 2 { // with one, all else would stand still
		return
	}
	h, steady := haste{}, clock.Real{}
	for at := steady.Elapsed(); ; {
		ran, err := threads.Ran(threads.Proc, pid)
		if err != nil {
			return // it ended
		}
		now := steady.Elapsed()
		if quick, changed := h.look(ran, now-at); changed {
			if err := setQuick(pid, quick); err != nil {
				d.cfg.Log.Info("the switch takes its turns like others; it works, but waits on a busy host", "error", err)
				return
			}
		}
		at = now
		if !pause(ctx, hastenEvery) {
			_ = setQuick(pid, false) // nobody looks after it now
			return
		}
	}
}

// haste is what is known of the switch's threads.
type haste struct {
	known, quick bool
	ran          time.Duration
}

// look takes note of how long the threads have run in all, and tells whether they
// are to be let in at once, and whether that is new.
func (h *haste) look(ran, passed time.Duration) (quick, changed bool) {
	before := *h
	share := float64(ran-h.ran) / float64(max(passed, time.Millisecond))
	switch h.ran = ran; {
	case !before.known || share < hastenBelow:
		h.quick = true
	case share >= restrainFrom:
		h.quick = false
	}
	h.known = true
	return h.quick, !before.known || h.quick != before.quick
}

// setQuick makes a process one of real time, or an ordinary one again.
func setQuick(pid int, quick bool) error {
	how := unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: switchNice}
	if quick {
		how = unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}
	}
	return threads.Each(threads.Proc, pid, func(tid int) error { return unix.SchedSetAttr(tid, &how, 0) })
}

// peerOf is the process at the other end of a connection; 0: unknown, or in
// another namespace.
func peerOf(conn net.Conn) int {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) { // else it stays unknown
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}
