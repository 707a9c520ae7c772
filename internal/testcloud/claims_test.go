package testcloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/volumes"
	"github.com/mekcloud/mek/internal/blockstorage/disk/sim"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/reconcile"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/await"
	"github.com/mekcloud/mek/test/report"
)

// cellar is one host that keeps volumes, and what stands between it and the server.
type cellar struct {
	*agent.Agent
	leave func()

	mu       sync.Mutex
	released []string // objects that the host was told to let go, and did
}

// fate is what becomes of what a reconciler asks of a host: it is asked before
// and after each, what it answers is what the reconciler gets.
type fate func(verb string, done bool) error

type fateKey struct{}

func (c *cellar) meet(ctx context.Context, verb string, do func() error) error {
	decide, ok := ctx.Value(fateKey{}).(fate)
	if !ok {
		return do()
	}
	if err := decide(verb, false); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return decide(verb, true)
}

// Command implements hostlink.Endpoint.
func (c *cellar) Command(ctx context.Context, cmd hostlink.Command) (out json.RawMessage, err error) {
	err = c.meet(ctx, cmd.Verb, func() (err error) {
		if out, err = c.Agent.Command(context.WithoutCancel(ctx), cmd); err == nil && cmd.Verb == hostlink.VerbRelease {
			c.mu.Lock()
			c.released = append(c.released, cmd.Object)
			c.mu.Unlock()
		}
		return err
	})
	return out, err
}

// Forget implements hostlink.Endpoint.
func (c *cellar) Forget(ctx context.Context, token string) error {
	return c.meet(ctx, "forget", func() error { return c.Agent.Forget(context.WithoutCancel(ctx), token) })
}

// shelfless is a section of a host that has nothing of it.
type shelfless struct{}

func (shelfless) Apply(context.Context, hostlink.Document, func(...hostlink.ObjectReport)) error {
	return nil
}
func (shelfless) Inventory(context.Context) ([]hostlink.ObjectReport, error) { return nil, nil }
func (shelfless) Command(context.Context, hostlink.Command) (json.RawMessage, error) {
	return nil, fault.NotFoundf("nothing is here")
}
func (shelfless) Stream(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) {
	return nil, fault.NotFoundf("nothing is here")
}

func newCellar(t *testing.T) *cellar {
	log := slog.New(slog.DiscardHandler)
	applier := volumes.New(sim.New(sim.Config{}), clock.Real{}, log)
	c := &cellar{Agent: agent.New(agent.Config{Facts: hostlink.Facts{Host: "cellar", ID: id.Named("cellar"), Arch: "x86_64", CPUs: 1, MemoryMiB: 1024, DiskGiB: 1024},
		Journal: agent.MemoryJournal(), Log: log, Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Volumes: applier, hostlink.Guests: shelfless{}, hostlink.Ports: shelfless{}}})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		applier.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

// Join implements testcloud.Fleet.
func (c *cellar) Join(ctx context.Context, h *hub.Hub) (err error) {
	c.leave, err = inproc.JoinVia(ctx, h, c.Agent, c, func(up hostlink.Uplink) hostlink.Uplink { return up })
	return err
}

// Leave implements testcloud.Fleet.
func (c *cellar) Leave() { c.leave() }

// forgotten is what a restored database has forgotten: the host has it in
// quarantine. claimed is what its user deletes meanwhile.
func forgotten(t *testing.T, c *testcloud.Cloud, host *cellar) (claimed, kept string) {
	t.Helper()
	claimed, kept = volume(c), volume(c)
	if err := c.Hub.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	host.Leave() // a server is away while its database is restored
	if err := c.DB.Write(t.Context(), func(tx *db.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "UPDATE blockstorage_volumes SET kept = $1 WHERE id IN ($2, $3)", false, claimed, kept); err != nil {
			return err
		}
		if _, err := tx.ExecContext(t.Context(), "UPDATE hoststate_revisions SET revision = 1"); err != nil { // as in the backup
			return err
		}
		_, err := hoststate.BeginEpoch(t.Context(), tx, 0, clock.Real{}.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := host.Join(t.Context(), c.Hub); err != nil {
		t.Fatal(err)
	}
	for _, one := range []string{claimed, kept} {
		await.That(t, "quarantine of what was forgotten", func() bool { return inQuarantine(t, c, one) })
	}
	c.Demo.Do("DELETE", "/volume/v3/volumes/"+claimed, nil).Expect(http.StatusAccepted)
	return claimed, kept
}

func inQuarantine(t *testing.T, c *testcloud.Cloud, object string) bool {
	t.Helper()
	list, err := hoststate.KeptObjects(t.Context(), c.DB)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(k hoststate.Kept) bool { return k.Object == object })
}

// TestPerturbedClaims: what is in quarantine although a saga waits for it to be
// gone is let go, once, whatever happens to the one that sees to it; and nothing
// else is (F2).
func TestPerturbedClaims(t *testing.T) {
	run := report.Start(t, "F2", 0)
	host := newCellar(t)
	c := testcloud.With(t, host, testcloud.Configured(func(conf *config.Config) { conf.Quotas = map[string]int{"volumes": -1, "gigabytes": -1} }))
	c.Breaks() // what is forgotten stays in quarantine
	var claims reconcile.Reconciler
	for _, r := range c.Reconcilers() {
		if r.Name == "recovery.claimed" {
			claims = r
		}
	}
	away := fault.Unavailablef("the host does not answer")
	// as runs the reconciler with a fate that may end its life.
	as := func(f func(die context.CancelFunc) fate) {
		ctx, die := context.WithTimeout(t.Context(), time.Minute)
		defer die()
		_ = claims.Run(context.WithValue(ctx, fateKey{}, f(die))) // whatever it says
	}
	at := func(verb string, done bool, what func() error) func(context.CancelFunc) fate {
		return func(context.CancelFunc) fate {
			return func(v string, d bool) error {
				if v == verb && d == done {
					return what()
				}
				return nil
			}
		}
	}
	dies := func(verb string, done bool) func(context.CancelFunc) fate {
		return func(die context.CancelFunc) fate {
			return at(verb, done, func() error { die(); return context.Canceled })(die)
		}
	}
	lost := func() error { return away }
	again := func() error { return claims.Run(t.Context()) }
	undisturbed := func(context.CancelFunc) fate { return func(string, bool) error { return nil } }
	for how, perturb := range map[string]func(){
		"undisturbed":              func() {},
		"repeated":                 func() { as(undisturbed); as(undisturbed) },
		"command lost":             func() { as(at(hostlink.VerbRelease, false, lost)) },
		"answer of command lost":   func() { as(at(hostlink.VerbRelease, true, lost)) },
		"forget lost":              func() { as(at("forget", false, lost)) },
		"answer of forget lost":    func() { as(at("forget", true, lost)) },
		"killed before command":    func() { as(dies(hostlink.VerbRelease, false)) },
		"killed after command":     func() { as(dies(hostlink.VerbRelease, true)) },
		"killed before forget":     func() { as(dies("forget", false)) },
		"killed after forget":      func() { as(dies("forget", true)) },
		"overtaken before command": func() { as(at(hostlink.VerbRelease, false, again)) },
		"overtaken before forget":  func() { as(at("forget", false, again)) },
		"two at once": func() {
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() { as(undisturbed) })
			}
			both.Wait()
		},
		"late": func() {
			late, cancel := context.WithCancel(t.Context())
			cancel()
			_ = claims.Run(late)
		},
	} {
		claimed, kept := forgotten(t, c, host)
		host.mu.Lock()
		host.released = nil
		host.mu.Unlock()
		perturb()
		run.Fault(how, 1)
		run.Operations(1)
		if err := claims.Run(t.Context()); err != nil && !errors.Is(err, away) {
			run.Violation("%s: %v", how, err)
		}
		await.That(t, how+": the volume is gone", func() bool { return c.Demo.Get("/volume/v3/volumes/"+claimed).Status == http.StatusNotFound })
		await.That(t, how+": it is not listed", func() bool { return !inQuarantine(t, c, claimed) })
		if !inQuarantine(t, c, kept) {
			run.Violation("%s: a volume that nobody claims was let go", how)
		}
		host.mu.Lock()
		if slices.Contains(host.released, kept) || !slices.Contains(host.released, claimed) {
			run.Violation("%s: the host was told to let go %v; claimed is %s", how, host.released, claimed)
		}
		host.mu.Unlock()
	}
}
