package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procStat is what this package needs of /proc/PID/stat.
type procStat struct {
	state   byte   // R, S, D, Z ...
	parent  int    // process id of the parent
	session int    // session id
	start   uint64 // clock ticks between boot and start: with the id, unique per boot
	copied  bool   // forked, and has not executed a program of its own (yet)
}

// forkNoExec is that flag of a process (PF_FORKNOEXEC in the kernel's sched.h).
const forkNoExec = 0x40

// parseStat reads one line of /proc/PID/stat. The command name may contain
// blanks and parentheses, so fields are counted from the last parenthesis.
func parseStat(line []byte) (procStat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return procStat{}, errors.New("stat line without command name")
	}
	f := strings.Fields(string(line[end+1:]))
	if len(f) < 20 || len(f[0]) != 1 {
		return procStat{}, fmt.Errorf("stat line with %d fields after the name", len(f))
	}
	parent, err1 := strconv.Atoi(f[1])
	session, err2 := strconv.Atoi(f[3])
	start, err3 := strconv.ParseUint(f[19], 10, 64)
	flags, err4 := strconv.ParseUint(f[6], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return procStat{}, fmt.Errorf("stat line: %w", err)
	}
	return procStat{state: f[0][0], parent: parent, session: session, start: start, copied: flags&forkNoExec != 0}, nil
}

// readStat reads the state of one process; the error is os.ErrNotExist when it is gone.
func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(b)
}

// bootID names this boot of the kernel, so that a record written before a
// reboot never matches a process after it.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown" // no /proc/sys in a very small container: process id and start time remain
	}
	return strings.TrimSpace(string(b))
}

// eachProcess calls fn for every process id until it returns false.
func eachProcess(fn func(pid int) bool) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		if !fn(pid) {
			return nil
		}
	}
	return nil
}

// findMarked looks for the session leader that carries the marker and runs
// exactly this command line. Children inherit the marker, and a process may
// start others in sessions of their own, hence all three conditions. Between fork
// and exec such a child meets them all: that it was never executed gives it away.
func findMarked(marker string, argv []string) (int, bool) {
	want := "\x00" + marker + "\x00"
	cmdline := strings.Join(argv, "\x00") + "\x00"
	found := 0
	err := eachProcess(func(pid int) bool {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !strings.Contains("\x00"+string(env), want) {
			return true // gone, or not ours
		}
		cmd, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || string(cmd) != cmdline {
			return true
		}
		st, err := readStat(pid)
		if err != nil || st.state == 'Z' || st.session != pid || st.copied {
			return true
		}
		found = pid
		return false
	})
	return found, err == nil && found != 0
}
