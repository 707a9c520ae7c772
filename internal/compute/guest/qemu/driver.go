package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Driver runs guests of one cloud on this host. Make it with New.
type Driver struct {
	cfg    Config
	boot   string
	groups *groups
	ids    *ids
	images *cache
	lock   *os.File

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	probed  chan struct{}
	caps    guest.Capabilities
	capsErr error

	mu       sync.Mutex
	machines map[string]*machine
	changed  map[string]bool // guests to be told of by Next
	wake     chan struct{}
}

var _ guest.Driver = (*Driver)(nil)

// adopting is how many guests are taken over at a time.
const adopting = 16

// New takes over the guests that are on this host already, and starts to find
// out what the host can do. Conflict when another driver has the same folder.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, probed: make(chan struct{}), machines: map[string]*machine{}, changed: map[string]bool{}, wake: make(chan struct{}, 1),
		ids: &ids{dir: cfg.IDsDir, first: firstID, count: idsCount, clock: cfg.Clock}}
	d.images = &cache{dir: filepath.Join(cfg.Dir, "images"), source: cfg.Images, clock: cfg.Clock, turns: map[string]chan struct{}{}}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := d.adoptAll(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.work.Go(d.probe)
	d.work.Go(d.tend)
	d.work.Go(d.balance)
	return d, nil
}

// lockPatience is how long a killed agent's last child may hold the lock: it
// shares the open file from its fork to its exec.
const lockPatience = 5 * time.Second

func (d *Driver) takeLock() error {
	end := d.cfg.Clock.Now().Add(lockPatience)
	for {
		err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) || d.cfg.Clock.Now().After(end) {
			return err
		}
		<-d.cfg.Clock.After(20 * time.Millisecond)
	}
}

// prepare makes folders and takes the lock on them.
func (d *Driver) prepare() (err error) {
	for _, dir := range []string{d.cfg.Dir, d.guestsDir(), d.images.dir, d.cfg.RunDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the folders of guests: %w", err)
		}
	}
	// No memory of guests in core dumps. What is started inherits this, and to
	// set it for others would need a capability; this process has secrets too.
	// One byte, not none: a kernel that hands dumps to a program does so at 0, too.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if d.boot, err = bootID(); err != nil {
		return err
	}
	if d.groups, err = findGroups(d.cfg.Cloud); err != nil {
		return err
	}
	d.lock, err = os.OpenFile(filepath.Join(d.cfg.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the folder of guests: %w", err)
	}
	if err := d.takeLock(); err != nil {
		_ = d.lock.Close() // never locked
		return fault.Conflictf("another process looks after the guests of this folder").Because(err)
	}
	return nil
}

func (d *Driver) guestsDir() string { return filepath.Join(d.cfg.Dir, "guests") }

// adoptAll takes over what is here and clears away what belongs to no guest.
func (d *Driver) adoptAll(ctx context.Context) error {
	entries, err := os.ReadDir(d.guestsDir())
	if err != nil {
		return fmt.Errorf("list guests: %w", err)
	}
	var each errgroup.Group
	each.SetLimit(adopting)
	for _, e := range entries {
		if !e.IsDir() || !id.Valid(e.Name()) {
			continue // not ours; reported by nobody because nothing here makes such names
		}
		m := d.newMachine(e.Name())
		d.machines[m.id] = m
		each.Go(func() error { return m.adopt(ctx) })
	}
	if err := each.Wait(); err != nil {
		return err
	}
	return d.clearResidue()
}

// clearResidue ends processes whose guest was never recorded (the driver died
// between starting and writing it down, moments after the start), and frees
// the names they took. Their cgroups tell them, or else their user ids.
func (d *Driver) clearResidue() error {
	groups, err := d.groups.list()
	if err != nil {
		return err
	}
	for _, name := range groups {
		if !d.running(name) {
			if err := d.groups.empty(d.ctx, d.cfg.Clock, name); err != nil {
				return err
			}
		}
	}
	sockets, err := os.ReadDir(d.cfg.RunDir)
	if err != nil {
		return fmt.Errorf("list sockets: %w", err)
	}
	for _, e := range sockets {
		if id.Valid(e.Name()) && !d.running(e.Name()) {
			if err := os.RemoveAll(filepath.Join(d.cfg.RunDir, e.Name())); err != nil {
				return fmt.Errorf("remove old sockets: %w", err)
			}
		}
	}
	return d.ids.releaseIf(func(owner string) bool {
		of, isOurs := strings.CutPrefix(owner, d.cfg.Cloud+"/")
		return isOurs && !d.running(of)
	})
}

func (d *Driver) running(guestID string) bool {
	m := d.machine(guestID)
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc != nil
}

// machine finds a guest; nil when it is not here.
func (d *Driver) machine(guestID string) *machine {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.machines[guestID]
}

// find is machine with a fault for one that is not here.
func (d *Driver) find(guestID string) (*machine, error) {
	if m := d.machine(guestID); m != nil {
		return m, nil
	}
	return nil, fault.NotFoundf("server %s is not on this host", guestID)
}

// List tells of every guest here.
func (d *Driver) List(context.Context) ([]guest.Facts, error) {
	var facts []guest.Facts
	for _, m := range d.all() {
		facts = append(facts, m.facts())
	}
	slices.SortFunc(facts, func(a, b guest.Facts) int { return strings.Compare(a.ID, b.ID) })
	return facts, nil
}

// Inspect tells of one guest.
func (d *Driver) Inspect(_ context.Context, guestID string) (guest.Facts, error) {
	m, err := d.find(guestID)
	if err != nil {
		return guest.Facts{}, err
	}
	return m.facts(), nil
}

// Ensure makes a guest as spec says.
func (d *Driver) Ensure(ctx context.Context, spec guest.Spec) (guest.Facts, error) {
	if err := spec.Check(); err != nil {
		return guest.Facts{}, err
	}
	for {
		m, err := d.enter(spec.ID)
		if err != nil {
			return guest.Facts{}, fault.OfHost(err)
		}
		err = m.do(ctx, func(ctx context.Context) error { return m.converge(ctx, spec) })
		if errors.Is(err, errDeleted) {
			continue // it went away while we waited: start over with a new one
		}
		return m.facts(), fault.OfHost(err)
	}
}

// enter finds a guest or begins one: from here on it has a folder.
func (d *Driver) enter(guestID string) (*machine, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.machines[guestID]; m != nil {
		return m, nil
	}
	m := d.newMachine(guestID)
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the guest's folder: %w", err)
	}
	d.machines[guestID] = m
	return m, nil
}

// Destroy removes a guest. It pre-empts whatever is being done to it.
func (d *Driver) Destroy(ctx context.Context, guestID string) error {
	m := d.machine(guestID)
	if m == nil {
		return nil
	}
	m.interrupt(fault.Conflictf("the server is being deleted"))
	err := m.do(ctx, m.destroy)
	if errors.Is(err, errDeleted) {
		return nil
	}
	return err
}

// forget is the last step of destroy.
func (d *Driver) forget(m *machine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.machines, m.id)
	delete(d.changed, m.id)
}

// tell makes Next answer a guest.
func (d *Driver) tell(guestID string) {
	d.mu.Lock()
	d.changed[guestID] = true
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Next waits for a guest that changed by itself.
func (d *Driver) Next(ctx context.Context) (string, error) {
	for {
		d.mu.Lock()
		for guestID := range d.changed {
			delete(d.changed, guestID)
			d.mu.Unlock()
			return guestID, nil
		}
		d.mu.Unlock()
		select {
		case <-d.wake:
		case <-ctx.Done():
			return "", ctx.Err()
		case <-d.ctx.Done():
			return "", d.ctx.Err()
		}
	}
}

// Close lets go of all guests; they go on.
func (d *Driver) Close() error {
	d.cancel()
	for _, m := range d.all() {
		m.letGo()
	}
	d.work.Wait()
	return d.lock.Close()
}
