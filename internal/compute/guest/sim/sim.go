package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// Fault is what goes wrong with one call.
type Fault struct {
	Delay time.Duration // before anything is done, on the driver's clock
	Err   error         // nothing is done, and the call answers this
	Lost  bool          // all is done, and the call answers Unavailable
}

// Config is what a Driver needs; only Clock must be set.
type Config struct {
	Clock   clock.Clock
	State   *State            // guests of this host; nil: a new one that nobody else sees
	Images  guest.ImageSource // nil: every image is there, of no size
	Volumes guest.Volumes     // nil: every volume is there
	Delay   time.Duration     // of each start, stop and snapshot
	// Fault tells what goes wrong with a call ("ensure", "destroy", "reboot",
	// "snapshot") of a guest, or of an image ("cache"); nil: nothing ever does.
	Fault func(call, guestID string) Fault
}

// State is what lasts of a simulated host: its guests. Driver after driver may
// be opened over it, one at a time.
type State struct {
	mu     sync.Mutex
	path   string             // empty: memory only
	Guests map[string]*record `json:"guests"`
	Images map[string]int64   `json:"images"` // fetched, with their sizes
	NextID int                `json:"next_pid"`
}

// record is one guest.
type record struct {
	Spec        guest.Spec           `json:"spec"`
	Facts       guest.Facts          `json:"facts"`
	BuildSerial int64                `json:"build_serial"`
	Boot        int64                `json:"boot"` // PowerSerial of the last start
	Console     []byte               `json:"console"`
	Snapshots   map[string]*snapshot `json:"snapshots,omitempty"`
	Begun       bool                 `json:"begun"` // was ever made
}

type snapshot struct {
	Info  guest.SnapshotInfo `json:"info"`
	Bytes []byte             `json:"bytes"`
}

// NewState is a host without guests, kept in memory.
func NewState() *State {
	return &State{Guests: map[string]*record{}, Images: map[string]int64{}, NextID: 1000}
}

// OpenState is a host whose guests are kept in a file.
func OpenState(path string) (*State, error) {
	s := NewState()
	s.path = path
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil {
		return nil, fmt.Errorf("read simulated guests: %w", err)
	}
	return s, nil
}

// keep writes the state to its file. Under mu.
func (s *State) keep() error {
	if s.path == "" {
		return nil
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(s.path+".part", b, 0o600)
	}
	if err == nil {
		err = os.Rename(s.path+".part", s.path)
	}
	if err != nil {
		return fmt.Errorf("keep simulated guests: %w", err)
	}
	return nil
}

// Driver simulates the guests of one host. Make it with New.
type Driver struct {
	cfg   Config
	state *State
	ctx   context.Context
	stop  context.CancelFunc

	mu      sync.Mutex
	turns   map[string]chan struct{}
	cancels map[string]context.CancelCauseFunc
	changed map[string]bool
	wake    chan struct{}
}

var _ guest.Driver = (*Driver)(nil)

// New makes a driver of the guests in cfg.State.
func New(cfg Config) *Driver {
	if cfg.State == nil {
		cfg.State = NewState()
	}
	d := &Driver{cfg: cfg, state: cfg.State, turns: map[string]chan struct{}{}, cancels: map[string]context.CancelCauseFunc{},
		changed: map[string]bool{}, wake: make(chan struct{}, 1)}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Capabilities are made up.
func (d *Driver) Capabilities(context.Context) (guest.Capabilities, error) {
	return guest.Capabilities{Driver: "sim", Version: "1.0.0", VersionInt: 1_000_000, Accel: "tcg", AccelReason: "guests are simulated", LiveMigration: true,
		Machine: "sim", CPUModel: "sim", Traits: []string{"COMPUTE_VOLUME_EXTEND", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_IMAGE_TYPE_QCOW2",
			"COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_NET_VIF_MODEL_VIRTIO"}}, nil
}

// do runs a call for a guest in its turn, with what goes wrong with it.
func (d *Driver) do(ctx context.Context, call, guestID string, op func(context.Context) error) error {
	turn := d.turn(guestID)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return fault.Unavailablef("the server is busy").Because(context.Cause(ctx))
	}
	defer func() { <-turn }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.mu.Lock()
	d.cancels[guestID] = cancel
	d.mu.Unlock()
	var f Fault
	if d.cfg.Fault != nil {
		f = d.cfg.Fault(call, guestID)
	}
	if err := d.wait(ctx, f.Delay); err != nil {
		return err
	}
	if f.Err != nil {
		return f.Err
	}
	err := op(ctx)
	if err == nil && f.Lost {
		return fault.Unavailablef("the reply was lost")
	}
	return err
}

func (d *Driver) turn(guestID string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turns[guestID] == nil {
		d.turns[guestID] = make(chan struct{}, 1)
	}
	return d.turns[guestID]
}

func (d *Driver) wait(ctx context.Context, long time.Duration) error {
	if long <= 0 {
		return nil
	}
	select {
	case <-d.cfg.Clock.After(long):
		return nil
	case <-ctx.Done():
		return fault.Unavailablef("interrupted").Because(context.Cause(ctx))
	}
}

// with reads or changes one guest. NotFound when it is not here.
func (d *Driver) with(guestID string, fn func(r *record) error) error {
	d.state.mu.Lock()
	defer d.state.mu.Unlock()
	r, ok := d.state.Guests[guestID]
	if !ok || !r.Begun {
		return fault.NotFoundf("server %s is not on this host", guestID)
	}
	if err := fn(r); err != nil {
		return err
	}
	return d.state.keep()
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

// SwitchOff is what a user of the guest does by its power button.
func (d *Driver) SwitchOff(guestID string) error { return d.endItself(guestID, guest.ExitByGuest) }

// Crash is what happens to a process on a bad day.
func (d *Driver) Crash(guestID string) error { return d.endItself(guestID, guest.ExitCrash) }

func (d *Driver) endItself(guestID string, reason guest.ExitReason) error {
	err := d.with(guestID, func(r *record) error {
		if !r.live() {
			return fault.Conflictf("the server is not running")
		}
		r.off(reason, d.cfg.Clock.Now())
		return nil
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.changed[guestID] = true
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // it is awake already
	}
	return nil
}

// Close lets go of the state.
func (d *Driver) Close() error {
	d.stop()
	return nil
}
