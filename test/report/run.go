package report

import (
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Run counts what one test does. Safe for concurrent use.
type Run struct {
	t     testing.TB
	began time.Time

	mu     sync.Mutex
	f      Figures
	failed time.Time // since when nothing has been answered; zero: all is well
}

// Start begins a run and says how to repeat it. The line is written when the
// test ends, whether it failed or not.
func Start(t testing.TB, programme string, seed uint64) *Run {
	t.Helper()
	r := &Run{t: t, began: clock.Real{}.Now(), f: Figures{Programme: programme, Test: t.Name(), Seed: seed, Commit: commit(), Faults: map[string]int{}}}
	t.Logf("MEK_TEST_SEED=%d at commit %s", seed, r.f.Commit)
	t.Cleanup(r.end)
	return r
}

// Seed is what MEK_TEST_SEED says, or a new one.
func Seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("MEK_TEST_SEED")
	if text == "" {
		return uint64(clock.Real{}.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("MEK_TEST_SEED: %v", err)
	}
	return seed
}

// Length is how long a test goes on: short in "make test", its share of the
// time in "make soak". A test calls it in its own body, where tools/soak counts it.
func Length(t testing.TB, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("MEK_SOAK")
	if text == "" {
		return short
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("MEK_SOAK: %v", err)
	}
	return d
}

// Seeds says that the run covers n seeds, from its own on.
func (r *Run) Seeds(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Seeds = n
}

// Fault counts injected faults of a kind.
func (r *Run) Fault(kind string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Faults[kind] += n
}

// Faults counts injected faults of several kinds.
func (r *Run) Faults(kinds map[string]int) {
	for kind, n := range kinds {
		r.Fault(kind, n)
	}
}

// Operations counts what was asked of the product.
func (r *Run) Operations(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Operations += n
}

// Violation counts a broken promise and fails the test.
func (r *Run) Violation(format string, args ...any) {
	r.t.Helper()
	r.mu.Lock()
	r.f.Violations++
	r.mu.Unlock()
	r.t.Errorf("violation: "+format, args...)
}

// Violations counts broken promises that the test has reported itself.
func (r *Run) Violations(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Violations += n
}

// Answered notes that a request was answered, or that it was not. What counts
// is the longest stretch in which requests failed and none was answered.
func (r *Run) Answered(ok bool) {
	now := clock.Real{}.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !ok && r.failed.IsZero():
		r.failed = now
	case ok && !r.failed.IsZero():
		r.unavailable(now.Sub(r.failed))
		r.failed = time.Time{}
	}
}

// Unavailable notes a stretch without answers that the test measured itself.
func (r *Run) Unavailable(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unavailable(d)
}

func (r *Run) unavailable(d time.Duration) { r.f.Unavailable = max(r.f.Unavailable, d.Milliseconds()) }

// Measured notes another figure of the run by its name: a slope, a rate.
func (r *Run) Measured(name string, value any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f.Measurements == nil {
		r.f.Measurements = map[string]any{}
	}
	r.f.Measurements[name] = value
}

// Outage notes a row of the public table of faults.
func (r *Run) Outage(o Outage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Outage = &o
}

// Figures is what has been counted so far.
func (r *Run) Figures() Figures {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.f
	f.Faults, f.Measurements = maps.Clone(f.Faults), maps.Clone(f.Measurements)
	f.Duration = clock.Real{}.Now().Sub(r.began).Milliseconds()
	return f
}

func (r *Run) end() {
	f := r.Figures()
	f.Failed = r.t.Failed()
	if name := os.Getenv("MEK_REPORT"); name != "" {
		if err := f.append(name); err != nil {
			r.t.Errorf("figures: %v", err)
		}
	}
}

// commit names what is tested; "-dirty" if files were changed since.
func commit() string {
	if c := os.Getenv("MEK_COMMIT"); c != "" {
		return c
	}
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return "unknown" // a tree without its history
	}
	return strings.TrimSpace(string(out))
}
