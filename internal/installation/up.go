package installation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/installation/packages"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/installation/preflight"
	"github.com/mekcloud/mek/internal/ledger"
)

// UpOptions are what only "mek up" is told.
type UpOptions struct {
	NoInstall   bool // list missing packages and stop
	ListenGiven bool // the operator named the port
}

// Up starts the cloud, or repairs it, and returns when it is ready.
func (i *Installation) Up(ctx context.Context, o UpOptions) error {
	if i.exists() && i.cfg.Joined() {
		return i.upHost(ctx, o)
	}
	if err := i.notRestoring(); err != nil {
		return err
	}
	begun := i.Clock.Now()
	i.Print.line("\n  mek %s · host %s · %d CPU\n", i.Version, i.cfg.HostName, runtime.NumCPU())
	if err := i.settle(); err != nil {
		return err
	}
	choices, err := i.check(ctx, o)
	if err != nil {
		return err
	}
	led, err := i.makeDataDir()
	if err != nil {
		return err
	}
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := i.install(ctx, led); err != nil {
		return err
	}
	i.Print.line("\n  Starting")
	if err := i.prepare(ctx, led, choices); err != nil {
		return err
	}
	if err := i.start(ctx, led); err != nil {
		return err
	}
	clouds, err := i.writeClouds()
	if err != nil {
		return err
	}
	if !i.cfg.Bare && !i.cfg.ServerOnly { // the first server made them
		if err := i.makeSamples(ctx); err != nil {
			return err
		}
	}
	took := i.Clock.Now().Sub(begun).Round(100 * time.Millisecond)
	i.Print.line("\n  Ready in %s", took)
	if i.Print.JSON {
		return i.Print.object(map[string]any{"ready": true, "seconds": took.Seconds(), "api": plan.LocalURL(i.cfg), "clouds": clouds})
	}
	i.closing(clouds)
	return nil
}

// settle decides what cannot be changed later.
func (i *Installation) settle() error {
	if i.cfg.Image != "" && i.Flags["image"] != nil && i.imageFile() == "" {
		return &Failure{Code: ExitUsage, What: "there is no image in " + i.cfg.Image, Do: "Name a qcow2 file, or the folder that make guest wrote."}
	}
	if abs, err := filepath.Abs(i.cfg.Image); i.Flags["image"] != nil && err == nil {
		i.Flags["image"] = abs // remembered, and the next up may be typed elsewhere
	}
	if err := i.furtherServer(); err != nil {
		return err
	}
	if os.Geteuid() != 0 && i.cfg.HostHere() {
		if i.exists() {
			return &Failure{Code: ExitUsage, What: "this cloud belongs to root", Do: "Try again with sudo."}
		}
		i.cfg.Simulate = 1
		i.Print.step(markLimited, "privilege", "not root: one simulated host, no real guests. With sudo there are real ones.")
	}
	before, err := config.Load(i.cfg.DataDir, nil, nil)
	if err == nil && i.exists() && before.Simulated() != i.cfg.Simulated() {
		return &Failure{Code: ExitUsage, What: "a cloud keeps its kind of hosts: this one was made with simulate " + fmt.Sprint(before.Simulate),
			Do: "Make another cloud:  mek up --data-dir DIR"}
	}
	return nil
}

// check looks at the machine, prints what it found and returns what it chose.
func (i *Installation) check(ctx context.Context, o UpOptions) (preflight.Choices, error) {
	i.Print.line("  Checks")
	if missing := packages.Missing(); o.NoInstall && i.cfg.HostHere() && len(missing) > 0 {
		return nil, missingPackages(missing)
	}
	results, choices := preflight.Run(ctx, preflight.Want{Config: i.cfg, ListenGiven: o.ListenGiven, Running: i.exists() && i.ours(), Fixed: i.exists()})
	i.showChecks(results)
	if preflight.Worst(results) == preflight.Blocked {
		return nil, &Failure{Code: ExitBlocked, What: "the machine is not ready for a cloud", Do: "Change what is marked " + markFailed + " above, then run mek up again."}
	}
	return choices, nil
}

// ours tells whether our own processes hold our ports: the server runs.
func (i *Installation) ours() bool {
	set, err := i.engines()
	return err == nil && set.Status(plan.ServerName).Running
}

func (i *Installation) showChecks(results []preflight.Result) {
	for _, r := range results {
		mark := map[preflight.Outcome]string{preflight.OK: markDone, preflight.Limited: markLimited, preflight.Blocked: markFailed}[r.Outcome]
		text := r.Found
		if r.Do != "" {
			text += " → " + r.Do
		}
		i.Print.step(mark, r.Check, "%s", text)
	}
}

// install brings missing packages, after saying which.
func (i *Installation) install(ctx context.Context, led *ledger.Ledger) error {
	if !i.cfg.HostHere() {
		return nil
	}
	missing := packages.Missing()
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	i.Print.line("\n  Installing  %s", names)
	logPath := i.cfg.Path("log", "packages.log")
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("log of the package manager: %w", err)
	}
	defer log.Close()
	if err := packages.Install(ctx, missing, led, log); err != nil {
		return &Failure{What: "packages cannot be installed", Why: err, Do: "Install them by hand, then run mek up again:  apt-get install " + names, Look: logPath}
	}
	i.Print.step(markDone, "packages", "%s", names)
	return nil
}

// prepare makes user, folders, settings, keys and the copy of the program.
func (i *Installation) prepare(ctx context.Context, led *ledger.Ledger, choices preflight.Choices) error {
	if made, err := ensureUser(ctx, led); err != nil {
		return err
	} else if made {
		i.Print.step(markDone, "user", "%s, for what needs no privilege", plan.ServiceUser)
	}
	if err := i.register(led); err != nil {
		return err
	}
	remember := map[string]any{"hash": i.cfg.Hash, "host_name": i.cfg.HostName, "simulate": i.cfg.Simulate, "listen": i.cfg.Listen}
	maps.Copy(remember, config.Environment(i.Env))
	maps.Copy(remember, i.Flags)
	maps.Copy(remember, choices)
	if err := i.remember(remember); err != nil {
		return err
	}
	if err := i.makeFolders(led); err != nil {
		return err
	}
	if err := i.shareSettings(); err != nil {
		return err
	}
	changed, err := i.Certificates()
	if err != nil {
		return err
	}
	if changed {
		i.Print.step(markDone, "certificates", "own CA; %s", strings.Join(doorNames(i.cfg).Hosts, ", "))
	}
	if _, err := i.ensureBootstrap(); err != nil {
		return err
	}
	if err := i.installGuest(); err != nil {
		return err
	}
	return i.installProgram()
}

// start has the supervisor run and waits for everything it runs.
func (i *Installation) start(ctx context.Context, led *ledger.Ledger) error {
	p, err := plan.Prepare(ctx, i.cfg, i.program(), i.Log)
	if err != nil {
		return &Failure{What: "engines cannot be prepared", Why: err, Look: i.cfg.Path("log")}
	}
	if err := recordUserspace(p, led); err != nil {
		return err
	}
	set, err := i.engines()
	if err != nil {
		return err
	}
	if err := i.supervise(ctx, set, led); err != nil {
		return err
	}
	count := 0
	for _, stage := range p.Stages() {
		for _, proc := range stage {
			if err := i.await(ctx, set, proc); err != nil {
				return err
			}
			count++
		}
	}
	i.Print.step(markDone, "processes", "%d of %d", count, count)
	return nil
}

// recordUserspace announces the link of the userspace datapath, unless another
// switch on this host made it before us.
func recordUserspace(p plan.Plan, led *ledger.Ledger) error {
	if !p.Userspace {
		return nil
	}
	if _, err := net.InterfaceByName(plan.UserspaceLink); err == nil {
		return nil
	}
	return led.Record(ledger.Change{Kind: ledger.Link, Name: plan.UserspaceLink})
}

// supervise keeps the supervisor running: by systemd where it runs, else as a
// process of its own.
func (i *Installation) supervise(ctx context.Context, set *engine.Set, led *ledger.Ledger) error {
	if systemdRuns() {
		return i.superviseBySystemd(ctx, led)
	}
	sup, err := plan.Supervisor(i.cfg, i.program())
	if err != nil {
		return err
	}
	if _, err := set.Ensure(ctx, sup); err != nil {
		return &Failure{What: "the supervisor does not start", Why: err, Look: sup.Log}
	}
	return nil
}

// await waits for one process in its present description to be ready.
func (i *Installation) await(ctx context.Context, set *engine.Set, p engine.Process) error {
	limit := p.ReadyTimeout
	if limit <= 0 {
		limit = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := errors.New("it does not run")
		if !set.Current(p) {
			err = errors.New(engine.LastLines(p.Log, err))
		} else {
			if err = p.Ready(ctx); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			code := ExitFailed
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				code = ExitTimeout
			}
			return &Failure{Code: code, What: p.Name + " is not ready", Why: err, Do: "Run mek up again once the cause is gone; it goes on from here.", Look: p.Log}
		case <-i.Clock.After(20 * time.Millisecond):
		}
	}
}

// closing is what a person needs next; "mek status" prints it again.
func (i *Installation) closing(clouds string) {
	dir := ""
	if i.cfg.DataDir != DefaultDataDir() {
		dir = " --data-dir " + i.cfg.DataDir
	}
	i.Print.line("\n  API         %s/identity/v3", plan.LocalURL(i.cfg))
	i.Print.line("  Credentials %s   (clouds: admin, demo)", clouds)
	i.Print.line("\n  Next")
	if i.cfg.HostHere() && !i.cfg.Bare {
		i.Print.line("    mek launch%s                  a server, then ssh", dir)
	}
	i.Print.line("    openstack --os-cloud demo server list     the standard client")
	i.Print.line("    mek doctor%s                  if anything looks wrong\n", dir)
}

// DefaultDataDir is where a cloud lives that nobody gave a place.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/mek"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return filepath.Join(home, ".local", "share", "mek")
}
