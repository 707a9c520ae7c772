package qemu

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
)

// arriveLimit is how long a guest waits for a tap or volume that another part
// of the agent is just making. Beyond it the caller decides when to try again.
const arriveLimit = 5 * time.Second

// tap opens the host's end of a port once it is there.
func (m *machine) tap(ctx context.Context, portID string, limits guest.Limits) (f *os.File, err error) {
	err = m.arrive(ctx, func() error {
		f, err = m.d.cfg.Taps.OpenTap(ctx, portID, limits)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open port %s: %w", portID, err)
	}
	return f, nil
}

// connected waits until what the guest sends passes on: its ports are made while
// its process starts, and its first question, for an address, is not to be lost.
func (m *machine) connected(ctx context.Context, spec guest.Spec) error {
	ctx, cancel := context.WithTimeout(ctx, arriveLimit)
	defer cancel()
	for _, n := range spec.NICs {
		if err := m.d.cfg.Taps.Wired(ctx, n.PortID); err != nil {
			return fault.Unavailablef("a port of the server is not connected yet").Because(err)
		}
	}
	return nil
}

// volume finds a volume once it is there.
func (m *machine) volume(ctx context.Context, volumeID string) (at guest.VolumeFile, err error) {
	err = m.arrive(ctx, func() error {
		at, err = m.d.cfg.Volumes.Volume(ctx, volumeID)
		return err
	})
	if err != nil {
		return at, fmt.Errorf("find volume %s: %w", volumeID, err)
	}
	return at, nil
}

// arrive tries until what is looked for has come. It was promised to this
// host, so that it is not there yet never means that it does not exist.
func (m *machine) arrive(ctx context.Context, look func() error) error {
	limited, cancel := context.WithTimeout(ctx, arriveLimit)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		err := look()
		if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-m.d.cfg.Clock.After(wait):
		case <-limited.Done():
			return fault.Unavailablef("a port or volume of the server is not on the host yet").Because(err)
		}
	}
}
