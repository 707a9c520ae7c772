package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// record is what is remembered of a started process, one file per name.
type record struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid"`
	Start   uint64    `json:"start"` // clock ticks since boot
	Boot    string    `json:"boot"`
	Digest  string    `json:"digest"`
	Path    string    `json:"path"`
	Alone   bool      `json:"alone,omitempty"`
	Cgroup  string    `json:"cgroup,omitempty"`
	Started time.Time `json:"started"`
}

// digest tells two descriptions of a process apart. Readiness and log are not
// part of it: they do not change what runs.
func (p Process) digest() string {
	h := sha256.New()
	field := func(parts ...string) {
		// hash.Hash never fails to write
		_, _ = fmt.Fprintf(h, "%d\x00%s\x00", len(parts), strings.Join(parts, "\x00"))
	}
	field(p.Name, p.Path, p.Dir, p.Namespace, p.Version)
	field(p.Args...)
	field(p.Env...)
	field(fmt.Sprint(p.UID, p.GID, p.Groups))
	return hex.EncodeToString(h.Sum(nil))
}

func (s *Set) recordPath(name string) string { return filepath.Join(s.dir, name+".json") }

// load reads a record; false when there is none or it cannot be understood,
// which is the same thing: the marker search takes over.
func (s *Set) load(name string) (record, bool) {
	b, err := os.ReadFile(s.recordPath(name))
	if err != nil {
		return record{}, false
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil || r.PID <= 1 || r.Name != name {
		return record{}, false
	}
	return r, true
}

// save writes a record so that a crash leaves the old one or the new one.
func (s *Set) save(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record of %s: %w", r.Name, err)
	}
	path := s.recordPath(r.Name)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write record of %s: %w", r.Name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write record of %s: %w", r.Name, err)
	}
	return nil
}

// alive tells whether the recorded process is the one that runs now.
func (r record) alive() bool { return Alive(r.PID, r.Start, r.Boot) }

// dying tells whether it will not run any more: it was killed, and the kernel has
// not come round to it yet. Nobody may take such a process for one that works.
func (r record) dying() bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(r.PID), "status"))
	if err != nil {
		return true // it is gone
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "SigPnd" && name != "ShdPnd" {
			continue
		}
		if waiting, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64); err == nil && waiting&(1<<(syscall.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}

// Alive tells whether the process that once had this id runs still: start is
// in clock ticks after boot, boot the kernel's boot id. A zombie does not run.
func Alive(pid int, start uint64, boot string) bool {
	if boot != bootID() {
		return false
	}
	st, err := readStat(pid)
	return err == nil && st.state != 'Z' && st.start == start
}
