package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/hostlink/faulty"
	"github.com/mekcloud/mek/test/report"
)

const userCount = 3

// faultsFor is how long things go wrong, in virtual time.
func faultsFor() time.Duration {
	if os.Getenv("MEK_SOAK") != "" {
		return 2 * time.Minute
	}
	return 30 * time.Second
}

// TestSimulation tries seed after seed: see the package.
func TestSimulation(t *testing.T) {
	first, n := uint64(1), 200
	if testing.Short() {
		n = 20
	}
	if text := os.Getenv("MEK_SEEDS"); text != "" {
		if from, to, ranged := strings.Cut(text, "-"); ranged {
			begin, err := strconv.ParseUint(from, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			first, text = begin, to
		}
		last, err := strconv.Atoi(text)
		if err != nil || last < int(first) {
			t.Fatalf("MEK_SEEDS is N or FIRST-LAST: %v", err)
		}
		n = last - int(first) + 1
	}
	if os.Getenv("MEK_TEST_SEED") != "" {
		first, n = report.Seed(t), 1
	}
	r := report.Start(t, "F3", first)
	r.Seeds(n)
	end := time.Now().Add(report.Length(t, 0))
	base := prepare(t)
	t.Run("seeds", func(t *testing.T) {
		for i := range n {
			seed := first + uint64(i)
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { simulate(t, seed, base, r) })
			})
		}
	})
	for extra := n; time.Now().Before(end) && !t.Failed(); extra++ { // in soak
		r.Seeds(extra + 1)
		seed := first + uint64(extra)
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed, base, r) })
		})
	}
}

func simulate(t *testing.T, seed uint64, base *template, r *report.Run) {
	w := newWorld(t, seed, base)
	time.Sleep(5 * time.Minute) // the template was made in the same bubble's past
	w.began = time.Now()
	w.srv = startServer(t, w.dir, w.log, clock.Real{}, w.diskFails)
	for n := range hostCount {
		h := newHost(w, n)
		w.hosts = append(w.hosts, h)
		h.start(t)
	}
	time.Sleep(2 * time.Second)
	watched, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { w.supervise(watched) })
	users := w.live()
	w.rest()
	w.check()
	w.checkUsers(users)
	w.empty()
	stop()
	watching.Wait()
	w.close()
	w.figures(r)
	if t.Failed() {
		t.Logf("repeat:  MEK_TEST_SEED=%d go test -run TestSimulation ./test/simulation   (commit %s)\n%s", seed, r.Figures().Commit, strings.Join(w.trace, "\n"))
	}
}

// live lets users work while things go wrong.
func (w *world) live() []*user {
	ctx, cancel := context.WithTimeout(context.Background(), faultsFor())
	defer cancel()
	defer w.note("no more faults")
	var work sync.WaitGroup
	f := &fate{w: w, random: rand.New(rand.NewPCG(w.seed, 2))}
	work.Go(func() { f.run(ctx) })
	var users []*user
	for n := range userCount {
		u := &user{w: w, n: n, random: rand.New(rand.NewPCG(w.seed, uint64(10+n)))}
		users = append(users, u)
		work.Go(func() { u.run(ctx) })
	}
	work.Wait()
	return users
}

func (w *world) close() {
	for _, h := range w.hosts {
		h.die()
		h.down.Wait()
		h.up.Wait()
	}
	w.srv.end(w.t)
}

func (w *world) figures(r *report.Run) {
	for _, h := range w.hosts {
		for _, p := range []*faulty.Plan{h.down, h.up} {
			for kind, n := range p.Counts() {
				w.count("message "+kind, n)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Operations(w.ops)
	for kind, n := range w.counts {
		switch {
		case kind == violations:
			r.Violations(n)
		case strings.HasSuffix(kind, "in error"):
			w.t.Logf("%d %s", n, kind)
		default:
			r.Fault(kind, n)
		}
	}
	if w.t.Failed() {
		fmt.Fprintf(os.Stderr, "seed %d failed\n", w.seed)
	}
}
