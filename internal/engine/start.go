package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLog is the size beyond which a log is set aside when its process starts.
const maxLog = 32 << 20

// start runs p detached and records it. A process whose record could not be
// written is killed: nothing runs that nobody remembers.
func (s *Set) start(p Process) (record, error) {
	logFile, err := openLog(p.Log)
	if err != nil {
		return record{}, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer logFile.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return record{}, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer null.Close()
	files := []*os.File{null, logFile, logFile}
	doors, err := p.Doors.files()
	if err != nil {
		_, _ = fmt.Fprintf(logFile, "%s is not started: %v\n", p.Name, err) // who looks for it looks there; the error itself is returned
		return record{}, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer closeAll(doors)
	files = append(files, doors...)
	proc, err := s.spawn(p, files)
	if err != nil {
		return record{}, fmt.Errorf("start %s: %w", p.Name, err)
	}
	st, err := readStat(proc.Pid)
	if err == nil {
		r := record{Name: p.Name, PID: proc.Pid, Start: st.start, Boot: bootID(), Digest: p.digest(), Path: p.Path,
			Alone: p.Alone, Cgroup: p.Cgroup, Started: s.clock.Now()}
		if err = s.save(r); err == nil {
			s.reapLater(proc)
			return r, nil
		}
	}
	kill := proc.Kill()
	_, wait := proc.Wait()
	return record{}, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), kill, wait)
}

// spawn forks and executes. The network namespace is that of the calling
// thread, so the thread is moved there and back; if it cannot be moved back it
// is left locked, and the runtime ends it with the goroutine.
func (s *Set) spawn(p Process, files []*os.File) (*os.Process, error) {
	attr := &os.ProcAttr{Dir: p.Dir, Env: s.environment(p), Files: files, Sys: &syscall.SysProcAttr{Setsid: true}}
	if attr.Dir == "" {
		attr.Dir = "/"
	}
	if p.UID != 0 || p.GID != 0 {
		attr.Sys.Credential = credential(p)
	}
	if p.Cgroup != "" {
		dir, err := openCgroup(p.Cgroup)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(dir.Fd())
	}
	if p.Namespace == "" {
		return os.StartProcess(p.Path, p.argv(), attr)
	}
	return spawnIn(p, attr)
}

func spawnIn(p Process, attr *os.ProcAttr) (*os.Process, error) {
	target, err := os.Open(p.Namespace)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	defer target.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("own network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter network namespace %s: %w", p.Namespace, err)
	}
	proc, err := os.StartProcess(p.Path, p.argv(), attr)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread()
	}
	return proc, err
}

func credential(p Process) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(p.UID), Gid: uint32(p.GID)}
	for _, g := range p.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

func (s *Set) environment(p Process) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, e := range p.Env {
		if strings.HasPrefix(e, "PATH=") {
			env = nil
		}
	}
	env = append(env, p.Env...)
	return append(env, s.marker(p.Name))
}

func openLog(path string) (*os.File, error) {
	if path == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("set log aside: %w", err)
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

func openCgroup(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	return f, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // the child has its copy; nothing was written through ours
	}
}

// reapLater waits for a child in the background, so that it leaves no zombie
// while this process lives. Afterwards init, or the next supervisor, inherits it.
func (s *Set) reapLater(proc *os.Process) {
	s.mu.Lock()
	s.own[proc.Pid] = struct{}{}
	s.mu.Unlock()
	go func() {
		st, err := proc.Wait()
		s.mu.Lock()
		delete(s.own, proc.Pid)
		s.mu.Unlock()
		s.log.Debug("process ended", "pid", proc.Pid, "state", st, "error", err)
	}()
}
