package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Process describes one process to run. Two equal descriptions are the same process.
type Process struct {
	Name    string   // unique in its Set; letters, digits, dot, dash, underscore
	Path    string   // absolute path of the program
	Args    []string // without the program's own name
	Env     []string // whole environment, KEY=VALUE; nothing is inherited but PATH
	Dir     string   // working directory; empty: the root
	Log     string   // file that standard output and error are appended to; empty: discarded
	Version string   // changes when the program itself changed, to restart it; may be empty

	UID, GID int   // of the process; 0, 0 leaves those of the caller
	Groups   []int // supplementary groups, only with UID and GID

	// Namespace is the path of a network namespace to run in; empty: the caller's.
	Namespace string
	// Cgroup is a directory in a cgroup v2 tree for this process; it is made when
	// missing, and Stop kills what is left in it. Empty: the caller's.
	Cgroup string
	// Doors are listening sockets to inherit, from descriptor 3 on. They are held
	// open while the process is started again, and closed when it does not come up.
	Doors *Doors
	// Nice is the niceness of its threads, from -20 (first) to 19.
	Nice int
	// Alone: Stop signals this process only, since what it started must survive it.
	Alone bool

	// Ready returns nil once the process does its work. It is called repeatedly
	// and must return quickly. Nil: a started process is ready.
	Ready func(ctx context.Context) error
	// ReadyTimeout bounds the wait; 0 means 30 s.
	ReadyTimeout time.Duration
}

// State is what is known about a process.
type State struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid"`
	Running bool      `json:"running"`
	Adopted bool      `json:"adopted"` // ran before Ensure was called
	Path    string    `json:"path"`
	Started time.Time `json:"started"`
}

// ErrNotRunning is returned where a running process is needed.
var ErrNotRunning = errors.New("process is not running")

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Set is the processes of one directory. Safe for concurrent use within a
// process; between processes the caller excludes (mek up takes a lock).
type Set struct {
	dir   string
	clock clock.Clock
	log   *slog.Logger

	mu    sync.Mutex
	named map[string]*sync.Mutex
	own   map[int]struct{} // children of this process that a goroutine waits for
}

// NewSet uses dir for the records, making it when missing.
func NewSet(dir string, clk clock.Clock, log *slog.Logger) (*Set, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("engine records: %w", err)
	}
	return &Set{dir: dir, clock: clk, log: log, named: map[string]*sync.Mutex{}, own: map[int]struct{}{}}, nil
}

// lock serialises work on one name.
func (s *Set) lock(name string) func() {
	s.mu.Lock()
	m := s.named[name]
	if m == nil {
		m = new(sync.Mutex)
		s.named[name] = m
	}
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// Ensure returns once p runs and is ready. A running process with the same
// description is adopted, one with another description is replaced. The error
// carries the last lines of the log when the process did not become ready;
// it is then left as it is, for the next call to judge.
func (s *Set) Ensure(ctx context.Context, p Process) (State, error) {
	if err := p.check(); err != nil {
		return State{}, err
	}
	defer s.lock(p.Name)()
	r, adopted, err := s.adoptOrStart(ctx, p)
	if err != nil {
		p.Doors.Close()
		return State{Name: p.Name, Path: p.Path}, err
	}
	s.prefer(p, r.PID)
	st := r.state(adopted)
	if err := s.waitReady(ctx, p, r); err != nil {
		if st.Running = r.alive(); !st.Running {
			p.Doors.Close()
		}
		return st, err
	}
	return st, nil
}

func (p Process) check() error {
	switch {
	case !validName.MatchString(p.Name):
		return fmt.Errorf("process name %q is not usable as a file name", p.Name)
	case !filepath.IsAbs(p.Path):
		return fmt.Errorf("process %s: program %q is not an absolute path", p.Name, p.Path)
	}
	return nil
}

func (s *Set) adoptOrStart(ctx context.Context, p Process) (record, bool, error) {
	want := p.digest()
	if r, ok := s.load(p.Name); ok && r.alive() {
		s.takeDoors(p, r.PID)
		if dying := r.dying(); !dying && r.Digest == want {
			return r, true, nil
		} else if !dying {
			s.log.Info("process changed, replacing it", "process", p.Name, "pid", r.PID)
		}
		if err := s.end(ctx, r, 10*time.Second); err != nil {
			return record{}, false, err
		}
	} else if pid, ok := findMarked(s.marker(p.Name), p.argv()); ok {
		if st, err := readStat(pid); err == nil {
			s.takeDoors(p, pid)
			r := record{Name: p.Name, PID: pid, Start: st.start, Boot: bootID(), Digest: want, Path: p.Path,
				Alone: p.Alone, Cgroup: p.Cgroup, Started: s.clock.Now()}
			return r, true, s.save(r)
		}
	}
	r, err := s.start(p)
	return r, false, err
}

// takeDoors holds the doors of a process that was started by somebody else.
func (s *Set) takeDoors(p Process, pid int) {
	if err := p.Doors.take(pid); err != nil {
		s.log.Warn("connections will be refused while this process is started again the next time", "process", p.Name, "error", err)
	}
}

func (r record) state(adopted bool) State {
	return State{Name: r.Name, PID: r.PID, Running: true, Adopted: adopted, Path: r.Path, Started: r.Started}
}

func (p Process) argv() []string { return append([]string{p.Path}, p.Args...) }

func (s *Set) marker(name string) string { return "MEK_ENGINE=" + filepath.Join(s.dir, name) }

// waitReady polls until the process is ready, dead, or too late.
func (s *Set) waitReady(ctx context.Context, p Process, r record) error {
	if p.Ready == nil {
		return nil
	}
	limit := p.ReadyTimeout
	if limit <= 0 {
		limit = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx, stop := whileAlive(ctx, r)
	defer stop()
	for pause := 5 * time.Millisecond; ; pause = min(pause*3/2, 200*time.Millisecond) {
		err := p.Ready(ctx)
		if err == nil {
			return nil
		}
		over := ctx.Err()
		if !r.alive() {
			return fmt.Errorf("%s ended before it was ready: %s", p.Name, LastLines(p.Log, err))
		}
		if over != nil {
			return fmt.Errorf("%s is not ready (%w): %s", p.Name, over, LastLines(p.Log, err))
		}
		select {
		case <-ctx.Done(): // looked at above, after one more question
		case <-s.clock.After(pause):
		}
	}
}

// whileAlive ends with the process: at a door that is held open for it, nobody
// would answer and nobody refuse. stop has to be called.
func whileAlive(ctx context.Context, r record) (alive context.Context, stop func()) {
	alive, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		if err := r.ended(alive); err == nil || !r.alive() {
			cancel()
		}
	})
	return alive, func() { cancel(); watch.Wait() }
}

// lastLines is the end of a log, for an error message.
func LastLines(path string, otherwise error) string {
	const most = 2048
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprint(otherwise)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return fmt.Sprint(otherwise)
	}
	b := make([]byte, min(most, fi.Size()))
	n, err := f.ReadAt(b, fi.Size()-int64(len(b)))
	if err != nil || n == 0 {
		return fmt.Sprint(otherwise)
	}
	lines := strings.Split(strings.TrimSpace(string(b[:n])), "\n")
	return "the log ends with: " + strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// Status is the state of one process, running or not.
func (s *Set) Status(name string) State {
	r, ok := s.load(name)
	if !ok {
		return State{Name: name}
	}
	st := r.state(true)
	st.Running = r.alive()
	return st
}

// Current tells whether a process with exactly this description runs now.
func (s *Set) Current(p Process) bool {
	r, ok := s.load(p.Name)
	return ok && r.Digest == p.digest() && r.alive() && !r.dying()
}

// List is every process that was ever started here and not stopped, by name.
func (s *Set) List() ([]State, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []State
	for _, f := range files {
		all = append(all, s.Status(strings.TrimSuffix(filepath.Base(f), ".json")))
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}
