package guesttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Subject is a driver under test.
type Subject struct {
	// Open makes the driver, or makes it again after it was closed: over the
	// same site it must find the same guests.
	Open func(t *testing.T, s *Site) guest.Driver
	// Image is a file that boots to a prompt "login:" on the first serial port.
	Image, Format string
	// SwitchOff makes a guest switch itself off, as its user would.
	SwitchOff func(t *testing.T, d guest.Driver, guestID string)
	// Kill makes a guest's process die. Nil where there is none.
	Kill func(t *testing.T, f guest.Facts)
	// Patience is how long a guest may take to boot.
	Patience time.Duration
}

// bench is one running test: a site, a driver over it.
type bench struct {
	t     *testing.T
	s     Subject
	site  *Site
	d     guest.Driver
	image string
}

// Run asks everything that the contract promises of a driver.
func Run(t *testing.T, s Subject) {
	for name, test := range map[string]func(*bench){
		"life":        life,
		"devices":     devices,
		"shared":      shared,
		"snapshots":   snapshots,
		"adoption":    adoption,
		"goes off":    goesOff,
		"refusals":    refusals,
		"rebuild":     rebuild,
		"rescue":      rescue,
		"interrupted": interrupted,
		"ahead":       ahead,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{t: t, s: s, site: NewSite(t)}
			b.image = b.site.AddImage(s.Image, s.Format)
			b.d = s.Open(t, b.site)
			t.Cleanup(b.clear)
			test(b)
		})
	}
}

// clear destroys all guests, and sees that nothing is left of them.
func (b *bench) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := b.d.List(ctx)
	if err != nil {
		b.t.Error(err)
	}
	for _, f := range all {
		if b.t.Failed() {
			log, err := b.d.ConsoleLog(ctx, f.ID, 15)
			b.t.Logf("guest %s: %+v; end of its console (%v):\n%s", f.ID, f, err, log)
		}
		if err := b.d.Destroy(ctx, f.ID); err != nil {
			b.t.Errorf("destroy %s: %v", f.ID, err)
		}
	}
	if err := b.d.Close(); err != nil {
		b.t.Error(err)
	}
}

// Spec is a small guest of an image.
func Spec(imageID, format string) guest.Spec {
	return guest.Spec{
		ID: id.New(), Name: "instance-0000002a", ProjectID: id.Hex(), Power: guest.Running, PowerSerial: 1, BuildSerial: 1,
		StopSeconds: 60, CPUs: 1, MemoryMiB: 256, Console: guest.Console{VNC: true},
		Disks: []guest.Disk{{ID: "root", Kind: guest.DiskImage, ImageID: imageID, ImageFormat: format, SizeBytes: 1 << 30, BootIndex: 1, DeviceName: "/dev/vda"}},
	}
}

func (b *bench) spec() guest.Spec { return Spec(b.image, b.s.Format) }

// ensure is Ensure that must work.
func (b *bench) ensure(spec guest.Spec) guest.Facts {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), b.s.Patience)
	defer cancel()
	f, err := b.d.Ensure(ctx, spec)
	if err != nil {
		b.t.Fatalf("ensure: %v", err)
	}
	if f.ID != spec.ID {
		b.t.Fatalf("facts of guest %q, not of %q", f.ID, spec.ID)
	}
	return f
}

func (b *bench) inspect(guestID string) guest.Facts {
	b.t.Helper()
	f, err := b.d.Inspect(b.t.Context(), guestID)
	if err != nil {
		b.t.Fatalf("inspect: %v", err)
	}
	return f
}

// booted waits until the guest has shown its prompt so many times.
func (b *bench) booted(guestID string, times int) {
	b.t.Helper()
	b.eventually("the guest shows its prompt", func() bool { return b.prompts(guestID) >= times })
}

func (b *bench) prompts(guestID string) int {
	b.t.Helper()
	log, err := b.d.ConsoleLog(b.t.Context(), guestID, -1)
	if err != nil {
		b.t.Fatalf("console log: %v", err)
	}
	return strings.Count(string(log), "login:")
}

func (b *bench) eventually(what string, is func() bool) {
	b.t.Helper()
	limit := time.After(b.s.Patience)
	for !is() {
		select {
		case <-limit:
			b.t.Fatalf("never: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// power says what power state is expected, and that no fact contradicts it.
func (b *bench) power(f guest.Facts, want guest.Power) {
	b.t.Helper()
	if f.Power != want {
		b.t.Fatalf("power %q, want %q (%+v)", f.Power, want, f)
	}
	live := want == guest.Running || want == guest.Paused
	if live != (len(f.Consoles) > 0) || live == (f.Exit != nil) && want != guest.Stopped {
		b.t.Errorf("facts contradict power %q: %+v", want, f)
	}
}

func (b *bench) refuses(what string, err error, kind fault.Kind) {
	b.t.Helper()
	if !fault.Is(err, kind) {
		b.t.Errorf("%s: error %v, want one of kind %v", what, err, kind)
	}
	var f *fault.Fault
	if errors.As(err, &f) && strings.Contains(f.Text, "/") {
		b.t.Errorf("%s: the text shows a path: %q", what, f.Text)
	}
}
