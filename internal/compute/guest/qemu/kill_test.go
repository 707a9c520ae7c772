package qemu

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/id"
)

// errand is what a driver in a process of its own is to do until it is killed.
type errand struct {
	Config Config
	Image  string // path of the only image
	Specs  []guest.Spec
}

// errandVariable marks a test process that runs an errand instead of tests.
const errandVariable = "MEK_QEMU_ERRAND"

func TestMain(m *testing.M) {
	if path := os.Getenv(errandVariable); path != "" {
		if err := runErrand(path); err != nil {
			slog.Error("errand", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runErrand makes the guests as it should, over and over: stopped, running,
// with another disk, gone.
func runErrand(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var e errand
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	ctx := context.Background()
	site := oneImage{e.Image}
	e.Config.Images, e.Config.Volumes, e.Config.Taps, e.Config.Clock = site, site, site, clock.Real{}
	e.Config.Log = slog.New(slog.DiscardHandler)
	d, err := New(ctx, e.Config)
	if err != nil {
		return err
	}
	for round := int64(1); ; round++ {
		for i, spec := range e.Specs {
			spec.PowerSerial = round
			if (round+int64(i))%3 == 0 {
				spec.Power = guest.Stopped
			}
			if _, err := d.Ensure(ctx, spec); err != nil {
				return err
			}
		}
		if round%4 == 0 {
			if err := d.Destroy(ctx, e.Specs[0].ID); err != nil {
				return err
			}
		}
	}
}

// oneImage is a site with one image and nothing else.
type oneImage struct{ path string }

func (s oneImage) Open(context.Context, string) (io.ReadCloser, guest.ImageInfo, error) {
	f, err := os.Open(s.path)
	return f, guest.ImageInfo{Format: "qcow2"}, err
}

func (s oneImage) Volume(context.Context, string) (guest.VolumeFile, error) {
	return guest.VolumeFile{}, os.ErrNotExist
}
func (s oneImage) OpenTap(context.Context, string, guest.Limits) (*os.File, error) {
	return nil, os.ErrNotExist
}
func (s oneImage) Wired(context.Context, string) error { return nil }

// TestDriverIsKilledAnywhere kills a driver's process at random moments; the
// next one must find what is there, make what should be, and leave nothing.
func TestDriverIsKilledAnywhere(t *testing.T) {
	t.Parallel()
	site := guesttest.NewSite(t)
	d := open(t, site)
	cfg := d.cfg
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Images, cfg.Volumes, cfg.Taps, cfg.Clock, cfg.Log = nil, nil, nil, nil, nil
	e := errand{Config: cfg, Image: filepath.Join(guesttest.GuestFolder(t), "guest.qcow2")}
	image := id.New()
	for range 2 {
		spec := guesttest.Spec(image, "qcow2")
		spec.Power, spec.StopSeconds = guest.Paused, 0
		e.Specs = append(e.Specs, spec)
	}
	work := filepath.Join(site.Dir, "errand.json")
	b, err := json.Marshal(e)
	if err == nil {
		err = os.WriteFile(work, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for round := range 12 {
		delay := time.Duration(rand.Int64N(int64(700 * time.Millisecond)))
		killAfter(t, work, delay)
		rescue(t, site, e, round, delay)
	}
}

// killAfter runs an errand and kills it.
func killAfter(t *testing.T, work string, delay time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), errandVariable+"="+work)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(delay)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the errand ended by itself: %v", err)
	}
}

// rescue opens the next driver and holds the host against I-01.
func rescue(t *testing.T, site *guesttest.Site, e errand, round int, delay time.Duration) {
	t.Helper()
	d := open(t, site, func(c *Config) { c.Images = oneImage{e.Image} })
	if len(processesOf(t, e.Specs)) > len(e.Specs) {
		t.Errorf("round %d (%v): processes %v", round, delay, processesOf(t, e.Specs))
	}
	for _, spec := range e.Specs {
		spec.PowerSerial = 1000 + int64(round)
		f, err := d.Ensure(t.Context(), spec)
		if err != nil || f.Power != guest.Paused {
			t.Fatalf("round %d (%v): %+v, error %v", round, delay, f, err)
		}
	}
	if n := len(processesOf(t, e.Specs)); n != len(e.Specs) {
		t.Errorf("round %d (%v): %d processes for %d guests", round, delay, n, len(e.Specs))
	}
	if ids, err := d.ids.taken(); err != nil || len(ids) != len(e.Specs) {
		t.Errorf("round %d (%v): user ids %v, error %v", round, delay, ids, err)
	}
	if round%3 == 0 {
		for _, spec := range e.Specs {
			if err := d.Destroy(t.Context(), spec.ID); err != nil {
				t.Errorf("round %d (%v): destroy: %v", round, delay, err)
			}
		}
		if left, _ := os.ReadDir(d.guestsDir()); len(left) > 0 || len(processesOf(t, e.Specs)) > 0 {
			t.Errorf("round %d (%v): left %v, processes %v", round, delay, left, processesOf(t, e.Specs))
		}
	}
	if round == 11 {
		for _, spec := range e.Specs {
			if err := d.Destroy(t.Context(), spec.ID); err != nil {
				t.Error(err)
			}
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// processesOf finds living processes of guests on the whole machine.
func processesOf(t *testing.T, specs []guest.Spec) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		for _, spec := range specs {
			if strings.Contains(string(b), "-uuid\x00"+spec.ID) {
				found = append(found, path)
			}
		}
	}
	return found
}
