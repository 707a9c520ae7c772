package sim

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "image.raw")
	if err := os.WriteFile(image, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	guesttest.Run(t, guesttest.Subject{
		Image: image, Format: "raw", Patience: 5 * time.Second,
		Open: func(t *testing.T, s *guesttest.Site) guest.Driver {
			state, err := OpenState(filepath.Join(s.Dir, "guests.json"))
			if err != nil {
				t.Fatal(err)
			}
			return New(Config{Clock: clock.Real{}, State: state, Images: s, Volumes: s, Delay: time.Millisecond})
		},
		SwitchOff: func(t *testing.T, d guest.Driver, guestID string) {
			if err := d.(*Driver).SwitchOff(guestID); err != nil {
				t.Error(err)
			}
		},
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	next := Fault{}
	d := New(Config{Clock: clock.Real{}, Fault: func(call, _ string) Fault {
		f := next
		next = Fault{}
		return f
	}})
	spec := guesttest.Spec(id.New(), "raw")
	next = Fault{Err: fault.Unavailablef("no")}
	if _, err := d.Ensure(t.Context(), spec); !fault.Is(err, fault.Unavailable) {
		t.Errorf("failed call: %v", err)
	}
	if _, err := d.Inspect(t.Context(), spec.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a failed call did something: %v", err)
	}
	next = Fault{Lost: true}
	if f, err := d.Ensure(t.Context(), spec); !fault.Is(err, fault.Unavailable) || f.Power != guest.Running {
		t.Errorf("lost reply: %+v, %v", f, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	next = Fault{Delay: time.Hour}
	if err := d.Destroy(ctx, spec.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("slow call: %v", err)
	}
}
