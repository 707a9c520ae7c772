package qemu

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
)

// patience is generous: the machine that tests run on emulates several guests at once.
const patience = 3 * time.Minute

// open makes a driver for a site. Its sockets are in a folder of their own,
// because test folders have long names.
func open(t testing.TB, s *guesttest.Site, change ...func(*Config)) *Driver {
	t.Helper()
	run := filepath.Join(s.Dir, "run")
	_, err := os.Readlink(run)
	first := err != nil
	if first {
		short, err := os.MkdirTemp("", "mg")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(short) })
		if err := os.Symlink(short, run); err != nil {
			t.Fatal(err)
		}
	}
	short, err := os.Readlink(run)
	if err != nil {
		t.Fatal(err)
	}
	cloud := filepath.Base(short)
	cfg := Config{Dir: filepath.Join(s.Dir, "driver"), RunDir: filepath.Join(short, "r"), IDsDir: filepath.Join(s.Dir, "ids"), Cloud: cloud,
		Images: s, Volumes: s, Taps: s, Accel: "tcg", Clock: clock.Real{}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range change {
		c(&cfg)
	}
	d, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if first {
		t.Cleanup(func() { clean(t, d) })
	}
	return d
}

// clean sees that a test's cloud left nothing on the machine.
func clean(t testing.TB, d *Driver) {
	left, err := d.groups.list()
	if err != nil || len(left) > 0 {
		t.Errorf("cgroups left: %v, error %v", left, err)
	}
	for _, dir := range d.groups.dirs("") {
		_ = os.Remove(dir)               // of this test alone
		_ = os.Remove(filepath.Dir(dir)) // unless other tests run
	}
}

func TestConformance(t *testing.T) {
	folder := guesttest.GuestFolder(t)
	guesttest.Run(t, guesttest.Subject{
		Open:  func(t *testing.T, s *guesttest.Site) guest.Driver { return open(t, s) },
		Image: filepath.Join(folder, "guest.qcow2"), Format: "qcow2", Patience: patience,
		SwitchOff: func(t *testing.T, d guest.Driver, guestID string) {
			inside(t, d.(*Driver), guestID, "poweroff")
		},
		Kill: func(t *testing.T, f guest.Facts) {
			if err := unix.Kill(f.PID, unix.SIGKILL); err != nil {
				t.Error(err)
			}
		},
	})
}
