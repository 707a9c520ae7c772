package qemu

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// launch is what is needed to start a process of a guest.
type launch struct {
	binary string
	args   []string   // without the program's name
	files  []*os.File // descriptors 3 and up of the child
	log    *os.File   // its standard output and error
	group  string     // cgroup it is born in, which exists
	uid    int        // user and group id
	owner  string     // of that id
	groups []int      // further group ids
}

// spawn starts a process: own session, own cgroup, own user, an empty network,
// next to no environment, few places of the file system.
func (g *groups) spawn(l launch) (*process, error) {
	type outcome struct {
		child *os.Process
		err   error
	}
	done := make(chan outcome)
	go aside(func() {
		child, err := g.forkHere(l)
		done <- outcome{child, err}
	})
	o := <-done
	if o.err != nil {
		return nil, o.err
	}
	confine(o.child.Pid)
	p, err := openProcess(o.child.Pid, 0, o.child)
	if err != nil {
		_ = o.child.Kill() // it is of no use to anybody
		_, _ = o.child.Wait()
		return nil, err
	}
	return p, nil
}

// aside runs fn on a thread that ends after it: what fn does to the thread is
// never undone. The process's first thread cannot end, so it is not taken.
func aside(fn func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		fn()
		return // still locked: the thread goes with the goroutine
	}
	done := make(chan struct{})
	go func() { // on another thread, as this one is held
		defer close(done)
		runtime.LockOSThread()
		fn()
	}()
	<-done
	runtime.UnlockOSThread()
}

// forkHere takes the calling thread into the guest's cgroups and confinement,
// and forks from it: the process is born there.
func (g *groups) forkHere(l launch) (*os.Process, error) {
	var groups []uint32
	for _, id := range l.groups {
		groups = append(groups, uint32(id))
	}
	// Neither the host's network nor its shared memory: taps come as descriptors.
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC, Credential: &syscall.Credential{Uid: uint32(l.uid), Gid: uint32(l.uid), Groups: groups}}
	release, err := g.fork(l.group, attr)
	if err != nil {
		return nil, err
	}
	defer release()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open the null device: %w", err)
	}
	defer null.Close() // only read
	if err := g.enter(l.group); err != nil {
		return nil, err
	}
	if err := restrict(l.binary); err != nil {
		return nil, err
	}
	takeShortTurns()
	child, err := os.StartProcess(l.binary, append([]string{l.binary}, l.args...), &os.ProcAttr{
		Dir: "/", Env: []string{"LC_ALL=C", ownerVariable + "=" + l.owner}, Files: append([]*os.File{null, l.log, l.log}, l.files...), Sys: attr,
	})
	if err != nil {
		return nil, fmt.Errorf("start the guest's process: %w", err)
	}
	return child, nil
}

// shortTurn is how long a guest's thread asks to run at a time. A guest that
// wakes up, as for a packet, is let in once the one that runs has had this much,
// not the several milliseconds of an ordinary process, in which another tenant's
// guest would hold it up. Switches are no more frequent where nobody wakes up:
// there the kernel looks at its next tick.
const shortTurn = 100 * time.Microsecond

// takeShortTurns is inherited by what the calling thread starts. Kernels before
// 6.12 take no notice; a kernel that refuses has guests wait for each other longer.
func takeShortTurns() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Runtime: uint64(shortTurn)}, 0)
}

// confine sets what a fork does not carry over. It is not worth failing for:
// without it the process is merely a little less well-behaved.
func confine(pid int) {
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("300"), 0) // guests die before the agent
}
