package qemu

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
)

// TestAccelerationIsTriedOnce: whatever this machine can do is found out
// within the limit, said in words, and not tried again by the next driver.
func TestAccelerationIsTriedOnce(t *testing.T) {
	t.Parallel()
	site := guesttest.NewSite(t)
	try := func(c *Config) {
		c.Accel, c.ProbeKernel = "", filepath.Join(guesttest.GuestFolder(t), "vmlinuz")
	}
	first := ""
	for range 2 {
		start := time.Now()
		d := open(t, site, try)
		caps, err := d.Capabilities(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("%s after %v: %s", caps.Accel, took, caps.AccelReason)
		switch {
		case caps.Accel != "kvm" && caps.Accel != "tcg", caps.AccelReason == "":
			t.Errorf("capabilities %+v", caps)
		case !strings.HasPrefix(caps.Machine, machineType+"-"), caps.VersionInt < 5_000_000:
			t.Errorf("capabilities %+v", caps)
		case first == "" && took > probeLimit+10*time.Second, first != "" && took > 5*time.Second:
			t.Errorf("took %v", took)
		case first != "" && first != caps.Accel+caps.AccelReason:
			t.Errorf("another verdict: %q, then %+v", first, caps)
		}
		first = caps.Accel + caps.AccelReason
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
