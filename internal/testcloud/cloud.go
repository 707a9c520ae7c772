package testcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/app"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/db/watch"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image/worker/workertest"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

// Cloud is a running cloud. It ends with its test.
type Cloud struct {
	URL   string // of the front door
	S3    string // of the object store's own port
	Admin *Client
	Demo  *Client // member and reader of project demo
	DB    *db.DB
	Hub   *hub.Hub
	Dir   string // of its data
	app   *app.Cloud
	t     testing.TB

	broken bool // on purpose
	noted  *journal
	watch  *watch.Log
	metric *prometheus.Registry

	cfg   config.Config
	keys  []byte
	hosts Fleet
	end   func()
}

// Option changes a cloud before it starts.
type Option func(*config.Config)

// Hosts sets the number of simulated hosts; otherwise there is one.
func Hosts(n int) Option { return func(c *config.Config) { c.Simulate = n } }

// The passwords of the first users.
const (
	AdminPassword   = "admin-secret"
	DemoPassword    = "demo-secret"
	ServicePassword = "service-secret"
)

// New starts a cloud with simulated hosts on a database of its own, of the
// engine that dbtest.One gives.
func New(t testing.TB, options ...Option) *Cloud {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default(dir)
	cfg.HostName, cfg.Simulate, cfg.InsecureHTTP = "server-1", 1, true
	for _, o := range options {
		o(&cfg)
	}
	hosts, err := app.NewSimulation(context.Background(), cfg.Simulate, logger(t))
	must(t, err)
	t.Cleanup(hosts.Close)
	return start(t, cfg, dbtest.One(t), id.Bytes(32), hosts)
}

// Fleet is a cloud's hosts, which outlive its control plane.
type Fleet interface {
	Join(ctx context.Context, h *hub.Hub) error
	Leave()
}

// With is New with hosts of the test's own.
func With(t testing.TB, hosts Fleet, options ...Option) *Cloud {
	t.Helper()
	cfg := config.Default(t.TempDir())
	cfg.HostName, cfg.Simulate, cfg.InsecureHTTP = "server-1", 1, true // no real hosts
	for _, o := range options {
		o(&cfg)
	}
	return start(t, cfg, dbtest.One(t), id.Bytes(32), hosts)
}

// Again ends the control plane and starts another in its place, over another
// database: the same keys and folders, and the same hosts, which went on.
func (c *Cloud) Again(database *db.DB) *Cloud {
	c.t.Helper()
	c.broken = true // what counts is how the next one finds it
	c.end()
	return start(c.t, c.cfg, database, c.keys, c.hosts)
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: logLevel()}))
}

func start(t testing.TB, cfg config.Config, database *db.DB, keys []byte, hosts Fleet) *Cloud {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := logger(t)
	changes, err := watch.Start(ctx, database, columns())
	must(t, err)
	metrics := prometheus.NewRegistry()
	h := hub.New(hub.Config{Log: log, Epochs: hoststate.NewEpochs(database, clock.Real{}), Book: hoststate.NewBook(database)})
	built, err := app.Build(ctx, app.Parts{Config: cfg.Server(), DB: database, Clock: clock.Real{}, Log: log, Hub: h, Master: keys,
		Bootstrap: config.Bootstrap{AdminPassword: AdminPassword, DemoPassword: DemoPassword, ServicePassword: ServicePassword},
		Metrics:   metrics, ImageProgram: workertest.Program})
	must(t, err)
	must(t, hosts.Join(ctx, h))
	done := make(chan error, 1)
	go func() { done <- built.Run(ctx) }()
	doors, closeDoors := context.WithCancel(context.Background())
	front, frontDone := serve(doors, t, cfg.Server(), built.Handler, log)
	objects, objectsDone := serve(doors, t, cfg.Server(), built.Objects, log)
	c := &Cloud{URL: front, S3: objects, DB: database, Hub: h, Dir: cfg.DataDir, app: built, t: t, cfg: cfg, keys: keys, hosts: hosts, noted: &journal{}, watch: changes, metric: metrics}
	c.end = sync.OnceFunc(func() {
		c.atEnd()
		closeDoors()
		for _, ended := range []chan error{frontDone, objectsDone} {
			if err := <-ended; err != nil {
				t.Errorf("a door ended with: %v", err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the cloud ended with: %v", err)
		}
		hosts.Leave()
		h.Close()
	})
	t.Cleanup(c.end)
	c.Admin = c.Login("admin", AdminPassword, "admin")
	c.Demo = c.Login("demo", DemoPassword, "demo")
	return c
}

// serve opens a door as "mek server" does, with plain HTTP.
func serve(ctx context.Context, t testing.TB, cfg config.Server, h http.Handler, log *slog.Logger) (url string, done chan error) {
	l, err := app.Listen(cfg, "127.0.0.1:0", 0, app.NewHandshakes(1))
	must(t, err)
	done = make(chan error, 1)
	go func() { done <- app.Serve(ctx, l, h, cfg.Limits, log) }()
	return "http://" + l.Addr().String(), done
}

// atEnd checks the invariants at the end of a test that went well.
func (c *Cloud) atEnd() {
	if c.broken || c.t.Failed() || c.t.Skipped() {
		return
	}
	c.RunTasks()
	c.Check()
	c.checkLives()
}

// Breaks says that the test leaves the cloud broken on purpose: invariants are
// not checked at its end.
func (c *Cloud) Breaks() { c.broken = true }

// RunTasks waits until no saga has anything left to do.
func (c *Cloud) RunTasks() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.app.Tasks.Idle(ctx); err != nil {
		c.t.Fatalf("tasks are not idle: %v", err)
	}
}

// Check fails the test when an invariant is broken: no task is left, and hosts,
// files and rows agree. What hosts and reconcilers are still about to do is
// waited for.
func (c *Cloud) Check() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	var last check.Report
	for {
		report, err := c.app.Checks.Run(ctx, check.Quiesced)
		if err == nil {
			last = report
		}
		if err == nil && len(report.Findings) == 0 {
			c.checkAudit(ctx)
			return
		}
		select {
		case <-ctx.Done():
			if len(last.Examined) == 0 {
				c.t.Errorf("the cloud cannot be checked: %v", err)
			}
			for _, f := range last.Findings {
				c.t.Errorf("invariant broken: %s", f)
			}
			return
		case <-clock.Real{}.After(checkAgain):
		}
	}
}

// Findings is what the checks say now, and fails the test when they cannot run.
func (c *Cloud) Findings(mode check.Mode, only ...string) []check.Finding {
	c.t.Helper()
	report, err := c.app.Checks.Run(context.Background(), mode, only...)
	must(c.t, err)
	return report.Findings
}

// Lying is Findings in mode Quiesced with hosts whose inventories are changed.
func (c *Cloud) Lying(change func(host string, inv *hostlink.Inventory)) []check.Finding {
	c.t.Helper()
	report, err := c.app.Checks.Asking(liar{c.Hub, change}).Run(context.Background(), check.Quiesced)
	must(c.t, err)
	return report.Findings
}

// liar changes what hosts say of themselves.
type liar struct {
	check.Agents
	change func(host string, inv *hostlink.Inventory)
}

func (l liar) Do(ctx context.Context, host string, cmd hostlink.Command) (json.RawMessage, error) {
	raw, err := l.Agents.Do(ctx, host, cmd)
	if err != nil {
		return nil, err
	}
	var inv hostlink.Inventory
	if err := json.Unmarshal(raw, &inv); err != nil {
		return nil, err
	}
	l.change(host, &inv)
	return json.Marshal(inv)
}

// RequireFixtures fails the test for each saga of the whole cloud that no test
// file below root exercises with every fault.
func (c *Cloud) RequireFixtures(root string) {
	c.t.Helper()
	t, ok := c.t.(*testing.T)
	if !ok {
		c.t.Fatal("only a test can require fixtures")
	}
	tasktest.RequireFixtures(t, root, c.app.Tasks)
}

// Codes lists everything that checks can find.
func (c *Cloud) Codes() []check.Code { return c.app.Checks.Codes() }

// How long a quiesced cloud may take until hosts have done what rows say, and
// how often it is looked at.
const (
	checkTime  = 15 * time.Second
	checkAgain = 20 * time.Millisecond
)

// Routes lists every built operation, "SERVICE METHOD PATH [ACTION]".
func (c *Cloud) Routes() []string {
	out := slices.Clone(c.app.Listed)
	for _, s := range c.app.REST.Services() {
		out = append(out, s.List()...)
	}
	return out
}

// testWriter sends logs to the test; they show when it fails.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	defer func() { _ = recover() }() // a log line after the test's end has no reader
	w.t.Log(string(b))
	return len(b), nil
}

func logLevel() slog.Level {
	if os.Getenv("MEK_TEST_LOG") == "debug" {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("test cloud: %w", err))
	}
}
