package qemu

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/fault"
)

// TestHostWasRestarted: guests that should run are started again.
func TestHostWasRestarted(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.spec.Power = guest.Paused
	f := c.ensure()
	dir := filepath.Join(c.d.guestsDir(), c.spec.ID)
	if err := c.d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(f.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r, err := loadRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Process.Boot = "11111111-1111-4111-8111-111111111111"
	if err := r.save(dir, false); err != nil {
		t.Fatal(err)
	}
	c.d = open(t, c.site)
	found, err := c.d.Inspect(t.Context(), c.spec.ID)
	if err != nil || found.Power != guest.Stopped || found.Exit == nil || found.Exit.Reason != guest.ExitHost {
		t.Errorf("found %+v, error %v", found, err)
	}
	if f := c.ensure(); f.Power != guest.Paused {
		t.Errorf("facts %+v", f)
	}
	c.end()
}

// TestStrangerIsNotAdopted: a pid that now belongs to somebody else is left
// alone, and the guest is known to be dead.
func TestStrangerIsNotAdopted(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.spec.Power = guest.Paused
	f := c.ensure()
	dir := filepath.Join(c.d.guestsDir(), c.spec.ID)
	if err := c.d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(f.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r, err := loadRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Process.PID = os.Getpid()
	if err := r.save(dir, false); err != nil {
		t.Fatal(err)
	}
	c.d = open(t, c.site)
	if found, err := c.d.Inspect(t.Context(), c.spec.ID); err != nil || found.Power != guest.Crashed {
		t.Errorf("found %+v, error %v", found, err)
	}
	c.end()
}

// TestDamagedRecord: one guest whose record is damaged is listed and can be
// destroyed; nothing is guessed about it, and others are not affected.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.spec.Power = guest.Stopped
	c.ensure()
	other := guesttest.Spec(c.spec.Disks[0].ImageID, "qcow2")
	other.Power = guest.Paused
	if _, err := c.d.Ensure(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := c.d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.d.guestsDir(), c.spec.ID, recordFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.d = open(t, c.site)
	if all, err := c.d.List(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("list %+v, error %v", all, err)
	}
	if _, err := c.d.Ensure(t.Context(), c.spec); !fault.Is(err, fault.Internal) {
		t.Errorf("ensure: %v", err)
	}
	if f, err := c.d.Ensure(t.Context(), other); err != nil || f.Power != guest.Paused {
		t.Errorf("another guest: %+v, error %v", f, err)
	}
	if err := c.d.Destroy(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	c.end()
}

// TestTwoDriversNeverShareAFolder.
func TestTwoDriversNeverShareAFolder(t *testing.T) {
	t.Parallel()
	site := guesttest.NewSite(t)
	d := open(t, site)
	if _, err := New(t.Context(), d.cfg); !fault.Is(err, fault.Conflict) {
		t.Errorf("error %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
