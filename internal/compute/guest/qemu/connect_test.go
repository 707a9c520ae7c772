package qemu

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/test/await"
)

// lateSite is a site whose ports are connected when a test says so.
type lateSite struct {
	*guesttest.Site
	wired chan struct{}
}

func (s lateSite) Wired(ctx context.Context, _ string) error {
	select {
	case <-s.wired:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestFirstStartAwaitsPorts: the process of a new guest is started while its ports
// are connected, and the guest takes its first step when they are.
func TestFirstStartAwaitsPorts(t *testing.T) {
	wired := make(chan struct{})
	c := newCloud(t, func(cfg *Config) { cfg.Taps = lateSite{cfg.Taps.(*guesttest.Site), wired} })
	c.spec.NICs = []guest.NIC{{PortID: id.New(), MAC: "fa:16:3e:00:00:01"}}
	c.spec.Ask, c.spec.PowerSerial = true, 1
	done := make(chan error, 1)
	go func() {
		_, err := c.d.Ensure(t.Context(), c.spec)
		done <- err
	}()
	await.That(t, "the process", func() bool {
		f, err := c.d.Inspect(t.Context(), c.spec.ID)
		return err == nil && f.PID > 0
	})
	select {
	case err := <-done:
		t.Fatalf("the guest was made without its port: %v", err)
	default:
	}
	if f, err := c.d.Inspect(t.Context(), c.spec.ID); err != nil || f.Power != guest.Paused {
		t.Errorf("power %q, error %v", f.Power, err)
	}
	close(wired)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f := c.ensure()
	c.expect("power", string(f.Power), string(guest.Running))
	c.end()
}
