package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mekcloud/mek/internal/clock"
)

// Kind says what was changed on the host.
type Kind string

// The kinds of changes. Name is unique within a kind.
const (
	Link      Kind = "link"      // network interface; Name is its name, Detail "netns" the namespace's name if any
	Namespace Kind = "namespace" // network namespace; Name is its name in /run/netns
	Bridge    Kind = "bridge"    // Linux bridge; Name is its name
	Table     Kind = "nft-table" // nftables table; Name is "family name", or the name alone, then in any family
	Route     Kind = "route"     // Name is the destination; Detail "dev", "via"
	Sysctl    Kind = "sysctl"    // Name is the key with dots; Old the value before
	Mount     Kind = "mount"     // Name is the mount point
	User      Kind = "user"      // system user; Name is its name
	Group     Kind = "group"     // system group; Name is its name
	File      Kind = "file"      // Name is the path; Old the path of a copy of what was there, empty if nothing was
	Dir       Kind = "dir"       // Name is the path; removed with all it holds, data directories only with --purge
	Unit      Kind = "unit"      // systemd unit; Name is its name
	Cgroup    Kind = "cgroup"    // Name is the directory in the cgroup tree
	Package   Kind = "package"   // system package; Name is its name. Never removed by itself, only listed
)

// Change is one entry: what is about to be made and how to take it back.
type Change struct {
	Kind   Kind              `json:"kind"`
	Name   string            `json:"name"`
	Old    string            `json:"old,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`
	Micros int64             `json:"at"` // microseconds since 1970 UTC; set by Record
}

// Key identifies a change.
type Key struct {
	Kind Kind
	Name string
}

// Key is what identifies this change in the ledger.
func (c Change) Key() Key { return Key{c.Kind, c.Name} }

// ErrDamaged means that a line other than the last one does not match its checksum.
var ErrDamaged = errors.New("ledger is damaged")

// Ledger is one file. Safe for concurrent use, also by several processes.
type Ledger struct {
	path  string
	clock clock.Clock
}

// Open prepares the file's folder and checks what is there already.
func Open(path string, clk clock.Clock) (*Ledger, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := &Ledger{path: path, clock: clk}
	if _, err := l.Live(); err != nil {
		return nil, err
	}
	return l, nil
}

// Record announces changes. They are durable when Record returns nil.
func (l *Ledger) Record(changes ...Change) error {
	for _, c := range changes {
		if c.Kind == "" || c.Name == "" {
			return fmt.Errorf("record change: kind %q and name %q must not be empty", c.Kind, c.Name)
		}
	}
	return l.append(func(live []Change) []line {
		known := keysOf(live)
		var add []line
		for _, c := range changes {
			if !known[c.Key()] {
				known[c.Key()] = true
				c.Micros = clock.Micros(l.clock.Now())
				add = append(add, line{Op: opMade, Change: c})
			}
		}
		return add
	})
}

// Forget notes that changes were taken back. Unknown changes are no error.
func (l *Ledger) Forget(kind Kind, names ...string) error {
	return l.append(func(live []Change) []line {
		known := keysOf(live)
		var add []line
		for _, name := range names {
			if known[Key{kind, name}] {
				delete(known, Key{kind, name})
				add = append(add, line{Op: opUndone, Change: Change{Kind: kind, Name: name, Micros: clock.Micros(l.clock.Now())}})
			}
		}
		return add
	})
}

func keysOf(changes []Change) map[Key]bool {
	keys := make(map[Key]bool, len(changes))
	for _, c := range changes {
		keys[c.Key()] = true
	}
	return keys
}

// Live is every change that stands, oldest first.
func (l *Ledger) Live() ([]Change, error) {
	b, err := os.ReadFile(l.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	lines, _, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.path, err)
	}
	return standing(lines), nil
}

// standing folds the lines into the changes that were not taken back.
func standing(lines []line) []Change {
	at := map[Key]int{}
	var all []Change
	for _, ln := range lines {
		i, known := at[ln.Key()]
		switch {
		case ln.Op == opMade && !known:
			at[ln.Key()] = len(all)
			all = append(all, ln.Change)
		case ln.Op == opUndone && known:
			all[i].Kind = "" // struck out; the index of the others must not move
			delete(at, ln.Key())
		}
	}
	live := all[:0]
	for _, c := range all {
		if c.Kind != "" {
			live = append(live, c)
		}
	}
	return live
}

// append adds the lines that decide returns for the present state, under the
// lock. A torn tail is cut off first; a file that is mostly history is rewritten.
func (l *Ledger) append(decide func(live []Change) []line) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	lines, good, err := parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	live := standing(lines)
	add := decide(live)
	if len(add) == 0 {
		return nil
	}
	if len(lines) > 1000 && len(lines) > 4*len(live) {
		return l.rewrite(live, add)
	}
	if err := f.Truncate(int64(good)); err != nil {
		return fmt.Errorf("cut torn end of ledger: %w", err)
	}
	text, err := render(add)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(text, int64(good)); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if len(b) == 0 {
		return syncDir(filepath.Dir(l.path))
	}
	return nil
}

// rewrite replaces the file by what stands and the new lines.
func (l *Ledger) rewrite(live []Change, add []line) error {
	all := make([]line, 0, len(live)+len(add))
	for _, c := range live {
		all = append(all, line{Op: opMade, Change: c})
	}
	text, err := render(append(all, add...))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return fmt.Errorf("rewrite ledger: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("rewrite ledger: %w", err)
	}
	if err := os.Rename(l.path+".new", l.path); err != nil {
		return fmt.Errorf("rewrite ledger: %w", err)
	}
	return syncDir(filepath.Dir(l.path))
}

func (l *Ledger) lock() (func(), error) {
	f, err := os.OpenFile(l.path+".lock", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock ledger: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock ledger: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing releases the lock; nothing was written
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
