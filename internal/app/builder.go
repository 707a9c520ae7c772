package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/joining"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/peers"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/reconcile"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// Parts are what a control plane is built on. A process opens them itself;
// a test cloud brings its own.
type Parts struct {
	Config    config.Server
	DB        *db.DB
	Clock     clock.Clock
	Log       *slog.Logger
	Level     *slog.LevelVar // of Log; nil: fixed
	Hub       *hub.Hub
	Master    []byte           // key that seals secrets in the database
	Bootstrap config.Bootstrap // first passwords
	Faults    *task.Faults     // nil outside tests
	Peers     *peers.Peers     // the servers that share the database; nil: this one alone
	Metrics   *prometheus.Registry
	Shipper   Behind // of the database's log; nil: it is not shipped
	// ImageProgram gives the program whose subcommand reads images in the
	// sandbox; nil: this one. Tests bring theirs.
	ImageProgram func() (string, error)
}

// Cloud is a built control plane.
type Cloud struct {
	Handler http.Handler // the front door
	Objects http.Handler // the object store's own port: S3, and Swift at the root; nil for none
	Members *joining.Service
	REST    *rest.Server // for classic ports and route lists
	Listed  []string     // routes besides those of REST, as it lists them
	Tasks   *task.Engine
	Checks  *check.Registry
	Loops   []*reconcile.Loop // everything that is kept true
	run     []runner
	openers []func()
}

// runner is background work with an owner: it ends when ctx does.
type runner struct {
	name string
	run  func(ctx context.Context) error
}

// builder collects what services offer and need, in the order of dependency.
type builder struct {
	Parts
	tasks     *task.Engine
	services  []*rest.Service
	runners   []runner
	routes    http.ServeMux // what is not an OpenStack API: health, metrics, consoles
	shared    contracts
	door      atomic.Pointer[rest.Server] // set once the cloud is built
	objects   http.Handler
	listed    []string
	openers   []func()
	observe   rest.Observer
	gate      gate
	checks    *check.Registry
	heard     map[string]func(ctx context.Context, text string) // what other servers tell, by topic
	missed    []func()                                          // called when something may have been told while nobody listened
	loops     []*reconcile.Loop
	elsewhere *objectHolder // who has the object store open; nil: always this server
}

// Build puts a control plane together and prepares its first data. Nothing runs yet.
func Build(ctx context.Context, p Parts) (*Cloud, error) {
	b := &builder{Parts: p, heard: map[string]func(context.Context, string){}}
	b.observe, b.gate = b.measure(), b.limits()
	b.buildTasks()
	b.newChecks()
	b.background("hosts", p.Hub.Run)
	b.background("room", reconciled(b.reconcilers(reconcile.Reconciler{Name: "database.ballast", Every: 5 * time.Second, Run: p.DB.KeepBallast})))
	b.background("audit", reconciled(b.reconcilers(reconcile.Reconciler{Name: "outbox", Every: time.Second, Run: b.publish})))
	for _, s := range serviceSteps {
		if err := s.build(b, ctx); err != nil {
			return nil, fmt.Errorf("build %s: %w", s.name, err)
		}
	}
	b.checks.Add(b.shared.across.checks()...)
	if err := b.policies(ctx); err != nil {
		return nil, err
	}
	b.showTroubles()
	b.watchStalls()
	b.front()
	b.background("other servers", b.listen)
	memory, err := b.remember()
	if err != nil {
		return nil, err
	}
	server := rest.New(rest.Config{Auth: b.shared.auth, Clock: p.Clock, Log: p.Log, Observe: b.observe, Gate: b.gate, Answers: memory}, b.others(), b.services...)
	b.door.Store(server)
	stalled := p.Config.Limits.StallTimeout
	return &Cloud{Handler: harden(b.elsewhere.door(server, b.objects), apiContent, stalled), Objects: harden(b.objects, userContent, stalled), REST: server,
		Listed: b.listed, Members: b.shared.joining, Tasks: b.tasks, Checks: b.checks, Loops: b.loops, run: b.runners, openers: b.openers}, nil
}

// publish numbers and chains the audit records of the last second.
func (b *builder) publish(ctx context.Context) error {
	_, err := outbox.Publish(ctx, b.DB)
	return err
}

// reconcilers makes a loop that metrics tell of.
func (b *builder) reconcilers(all ...reconcile.Reconciler) *reconcile.Loop {
	l := reconcile.New(b.Clock, b.Log, all...)
	b.loops = append(b.loops, l)
	return l
}

// reconciled runs a loop of reconcilers as background work.
func reconciled(l *reconcile.Loop) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		l.Run(ctx)
		return nil
	}
}

// frontDoor is the whole cloud's handler, for features that are clients of the
// public API; they ask for it when a request comes, never while building.
func (b *builder) frontDoor() http.Handler { return b.door.Load() }

// serve adds a service to the front door, with the rest of its published
// operations answering 501.
func (b *builder) serve(s *rest.Service) {
	s.Planned = planned(s)
	b.services = append(b.services, s)
}

func (b *builder) background(name string, run func(ctx context.Context) error) {
	b.runners = append(b.runners, runner{name, run})
}

// policies gives each service an enforcer of its own rules, under the
// operator's policy file.
func (b *builder) policies(ctx context.Context) error {
	for _, s := range b.services {
		enforcer, err := policy.New(policy.Base(), s.Rules)
		if err != nil {
			return fmt.Errorf("rules of %s: %w", s.Name, err)
		}
		s.Policy = enforcer
		if file := b.Config.PolicyFile; file != "" {
			log := b.Log.With("service", s.Name, "file", file)
			b.background("policy of "+s.Name, func(ctx context.Context) error {
				return enforcer.Watch(ctx, file, func(err error) { log.Error("the policy file was not taken over", "error", err) })
			})
		}
	}
	return nil
}

// Open opens what its first user would open otherwise, so that a cloud that says
// it is ready changes nothing on disk by itself. What cannot be opened is in the
// log, keeps nobody else from starting, and is tried again by its users.
func (c *Cloud) Open() {
	for _, open := range c.openers {
		open()
	}
}

// Run does the background work until ctx ends; the first failure ends all.
func (c *Cloud) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, len(c.run))
	for _, r := range c.run {
		go func() {
			err := r.run(ctx)
			if err != nil && ctx.Err() == nil {
				err = fmt.Errorf("%s: %w", r.name, err)
				cancel(err)
			}
			done <- err
		}()
	}
	for range c.run {
		<-done
	}
	if err := context.Cause(ctx); err != nil && err != context.Canceled {
		return err
	}
	return nil
}
