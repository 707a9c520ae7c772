package simulation

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/app"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/image/worker/workertest"
	"github.com/mekcloud/mek/internal/task"
)

// server is one life of a control plane.
type server struct {
	cloud  *app.Cloud
	hub    *hub.Hub
	db     *db.DB
	ctx    context.Context // ends with its death
	cancel context.CancelFunc
	done   chan struct{} // closed once it has ended
	err    error         // why, then
	dead   atomic.Bool
}

var (
	errDead = errors.New("the process is dead")
	errDisk = errors.New("disk I/O error")
)

const (
	adminPassword   = "admin-secret"
	demoPassword    = "demo-secret"
	servicePassword = "service-secret"
)

// configuration is that of the cloud whose files lie in a folder.
func configuration(dir string) config.Config {
	cfg := config.Default(dir)
	cfg.HostName, cfg.Simulate, cfg.InsecureHTTP = "server-1", hostCount, true
	cfg.Identity.TokenLifetime = 96 * time.Hour
	return cfg
}

// startServer starts a server on a database; disk says what goes wrong with its writes.
func startServer(t testing.TB, dir string, log *slog.Logger, now clock.Clock, disk func(committed bool) bool) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{ctx: ctx, cancel: cancel, done: make(chan struct{})}
	d, err := db.Open(ctx, "sqlite://"+dir+"/mek.db")
	if err != nil {
		t.Fatal(err)
	}
	s.db = d
	s.hub = hub.New(hub.Config{Clock: now, Log: log, Epochs: hoststate.NewEpochs(d, now), Book: hoststate.NewBook(d)})
	building := true
	faulty := d.Faulty(func(_ context.Context, committed bool) error {
		switch {
		case s.dead.Load():
			return errDead
		case !building && disk(committed):
			return errDisk
		}
		return nil
	})
	master := make([]byte, 32)
	s.cloud, err = app.Build(ctx, app.Parts{Config: configuration(dir).Server(), DB: faulty, Clock: now, Log: log, Hub: s.hub, Master: master,
		Faults:    &task.Faults{},
		Bootstrap: config.Bootstrap{AdminPassword: adminPassword, DemoPassword: demoPassword, ServicePassword: servicePassword},
		Metrics:   prometheus.NewRegistry(), ImageProgram: workertest.Program})
	if err != nil {
		t.Fatal(err)
	}
	building = false
	go func() {
		defer close(s.done)
		s.err = s.cloud.Run(ctx)
	}()
	return s
}

// die ends the server as SIGKILL does: nothing more is written, nobody is answered.
func (s *server) die(t testing.TB) {
	s.dead.Store(true)
	s.end(t)
}

// end stops it properly, unless it is dead.
func (s *server) end(t testing.TB) {
	s.cancel()
	<-s.done
	s.hub.Close()
	if err := s.db.Close(); err != nil {
		t.Errorf("close database: %v", err)
	}
}
