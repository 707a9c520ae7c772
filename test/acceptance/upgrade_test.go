package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/previous"
	"github.com/mekcloud/mek/test/report"
)

// gapLimit is how long the API of one controller may be silent in an upgrade.
const gapLimit = 5 * time.Second

// TestUpgrade brings a cloud of the release before up to date, back, and up to
// date again, with a guest running and users at work. The guest is the same
// process all along.
func TestUpgrade(t *testing.T) {
	if os.Getenv("MEK_SOAK") == "" {
		t.Skip("builds the release before: make soak")
	}
	seed := report.Seed(t)
	r := report.Start(t, "F9", seed)
	built, commit := previous.Build(t)
	c := placeOf(t, func(dir string) string { // where the service user may run it
		to := filepath.Join(dir, "mek-before")
		content, err := os.ReadFile(built)
		if err == nil {
			err = os.WriteFile(to, content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		return to
	})
	old, now := c.bin, binary(t)
	k := newKilling(c)
	k.report = r
	server := k.boot("stays")
	pid := k.guestOf(server)
	if pid == 0 {
		t.Fatalf("no QEMU of %s", server)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		for round := 0; ctx.Err() == nil; round++ {
			k.life(fmt.Sprintf("upgrade-%d", round), rand.New(rand.NewPCG(seed, uint64(round))))
		}
	})
	for _, step := range []struct{ name, binary string }{{"upgrade", now}, {"rollback", old}, {"second upgrade", now}} {
		gap := k.gap(server, func() {
			c.bin = step.binary
			c.mek("up", "--no-install")
		})
		t.Logf("%s: no answer for %v", step.name, gap)
		r.Measured(step.name+" gap ms", gap.Milliseconds())
		r.Unavailable(gap)
		r.Fault(step.name, 1)
		if gap > gapLimit {
			r.Violation("%s: the API was silent for %v", step.name, gap)
		}
		if !same(t, step.binary, filepath.Join(c.data, "bin", "mek")) {
			t.Fatalf("%s: another program runs", step.name)
		}
		if is := k.guestOf(server); is != pid {
			r.Violation("%s: the guest was process %d and is %d", step.name, pid, is)
		}
		if state := k.settle(k.compute, "servers/"+server, "server"); state != "ACTIVE" {
			r.Violation("%s: the server is %s", step.name, state)
		}
	}
	stop()
	work.Wait()
	k.sweep()
	r.Measured("N-1", commit)
	r.Operations(k.made + k.attached)
	if k.serverErrors+k.volumeErrors > 0 || k.made == 0 {
		r.Violation("%d servers made, %d servers and %d volumes in error", k.made, k.serverErrors, k.volumeErrors)
	}
	c.until("doctor finds nothing", time.Minute, func() (bool, string) {
		code, out := c.exit("doctor", "--json")
		return code == 0, out
	})
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	one, err := os.ReadFile(a)
	two, err2 := os.ReadFile(b)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(one, two)
}

// gap is the longest time in which a server could not be shown while something
// was done.
func (k *killing) gap(server string, do func()) time.Duration {
	ctx, stop := context.WithCancel(k.t.Context())
	defer stop()
	var longest time.Duration
	var look sync.WaitGroup
	look.Go(func() {
		answered := time.Now()
		for ctx.Err() == nil {
			one, end := context.WithTimeout(ctx, 2*time.Second)
			var got map[string]any
			err := k.compute.Get(one, "servers/"+server, &got)
			end()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				longest, answered = max(longest, time.Since(answered)), time.Now()
			}
			time.Sleep(20 * time.Millisecond) // the rate of looking
		}
	})
	do()
	stop()
	look.Wait()
	return longest
}
