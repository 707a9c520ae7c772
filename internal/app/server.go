package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/remote"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/http1"
	"github.com/mekcloud/mek/internal/pki"
)

// RunServer is the process "mek server": it opens the database, builds the
// control plane and serves until ctx ends.
// level is the logger's; operators change it while the server runs.
func RunServer(ctx context.Context, cfg config.Server, log *slog.Logger, level *slog.LevelVar) error {
	shipper, err := ship(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer stopShipping(shipper, log) // after the database, whose last writes it ships
	parts, err := open(ctx, cfg, log, shipper != nil)
	if err != nil {
		return err
	}
	parts.Level = level
	if shipper != nil {
		parts.Shipper = shipper
	}
	defer parts.DB.Close()
	defer parts.Hub.Close()
	if parts.Peers = newPeers(parts); parts.Peers != nil {
		if err := parts.Peers.Beat(ctx); err != nil {
			return err
		}
	}
	cloud, err := Build(ctx, parts)
	if err != nil {
		return err
	}
	turns := NewHandshakes(runtime.GOMAXPROCS(0))
	widen()
	cloud.Open()
	bus, leave, err := joinHosts(ctx, parts, cloud)
	if err != nil {
		return err
	}
	defer leave()
	if bus != nil {
		defer bus.Close()
	}
	listener, err := Listen(cfg, cfg.Listen, cfg.ListenFD, turns)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if address := cfg.ObjectListen(); address != "" && cloud.Objects != nil {
		own, err := Listen(cfg, address, cfg.ObjectListenFD, turns)
		if err != nil {
			listener.Close()
			return err
		}
		group.Go(func() error { return Serve(ctx, own, cloud.Objects, cfg.Limits, log) })
	}
	if bus != nil && !cfg.Simulated() {
		group.Go(func() error { return cloud.Members.Watch(ctx, bus) })
	}
	group.Go(func() error { return cloud.Run(ctx) })
	if shipper != nil {
		group.Go(func() error { return shipper.Run(ctx, parts.DB) })
	}
	group.Go(func() error { return returnMemory(ctx, parts.Clock) })
	group.Go(func() error { return Serve(ctx, listener, cloud.Handler, cfg.Limits, log) })
	if err := announce(cfg.ReadyFile, listener.Addr().String()); err != nil {
		return err
	}
	defer os.Remove(cfg.ReadyFile) //nolint:errcheck // a stale file is removed at the next start
	log.Info("ready", "address", listener.Addr().String())
	return group.Wait()
}

func open(ctx context.Context, cfg config.Server, log *slog.Logger, shipped bool) (Parts, error) {
	if err := os.Remove(cfg.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Parts{}, fmt.Errorf("remove stale ready file: %w", err)
	}
	p := Parts{Config: cfg, Clock: clock.Real{}, Log: log, Metrics: prometheus.NewRegistry()}
	p.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if p.Master, err = pki.MasterKey(cfg.MasterKeyFile); err != nil {
		return p, err
	}
	content, err := os.ReadFile(cfg.BootstrapFile)
	if err != nil {
		return p, fmt.Errorf("first passwords: %w", err)
	}
	if err := json.Unmarshal(content, &p.Bootstrap); err != nil {
		return p, fmt.Errorf("first passwords: %w", err)
	}
	if p.DB, err = db.Open(ctx, cfg.Database); err != nil {
		return p, err
	}
	if shipped {
		if err := p.DB.LeaveCheckpoints(ctx); err != nil {
			return p, errors.Join(err, p.DB.Close())
		}
	}
	if err := p.DB.Ballast(ctx, db.BallastSize); err != nil {
		log.Error("there is no room held back for deletes", "error", err)
	}
	p.Hub = hub.New(hub.Config{Clock: p.Clock, Log: log, Epochs: hoststate.NewEpochs(p.DB, p.Clock), Book: hoststate.NewBook(p.DB)})
	return p, nil
}

// joinHosts connects the control plane with its hosts: simulated ones in this
// process, or agents over the bus.
func joinHosts(ctx context.Context, p Parts, cloud *Cloud) (*remote.Server, func(), error) {
	if p.Config.Simulated() && !p.Config.SimulateApart {
		leave, err := Simulate(ctx, p.Hub, p.Config.Simulate, p.Log)
		return nil, leave, err
	}
	conf, err := busServer(p, cloud.Members)
	if err != nil {
		return nil, nil, err
	}
	bus, err := remote.Serve(conf)
	return bus, func() {}, err
}

// Listen opens a door: bounded, and with TLS unless the cloud is told otherwise.
// descriptor is of a listener that is open already, or 0; turns are those of new
// connections with TLS.
func Listen(cfg config.Server, address string, descriptor int, turns *Handshakes) (net.Listener, error) {
	var l net.Listener
	var err error
	if descriptor > 0 {
		given := os.NewFile(uintptr(descriptor), "listener")
		l, err = net.FileListener(given) // a copy, which programs that we start do not inherit
		err = errors.Join(err, given.Close())
	} else {
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	l = bound(l, cfg.Limits)
	if cfg.CertFile == "" {
		return l, nil
	}
	pair, err := pki.LoadPair(cfg.CertFile, cfg.KeyFile, clock.Real{})
	if err != nil {
		l.Close()
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: pair.ServerCertificate, GetConfigForClient: turns.greet, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// Serve answers until ctx ends, then lets running requests finish.
func Serve(ctx context.Context, l net.Listener, h http.Handler, limits config.Limits, log *slog.Logger) error {
	other := &http.Server{ReadHeaderTimeout: limits.HeaderTimeout, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10, ConnContext: together,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 128, SendPingTimeout: time.Minute, WriteByteTimeout: 2 * limits.StallTimeout},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	s := &http1.Server{Handler: h, Other: other, Clock: clock.Real{}, Log: log}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(grace); err != nil {
			s.Close()
		}
	})
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("front door: %w", err)
	}
	<-stopped
	return nil
}

// announce writes the address to the ready file, whole or not at all.
func announce(file, address string) error {
	temporary := file + ".new"
	if err := os.WriteFile(temporary, []byte(address+"\n"), 0o644); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	return os.Rename(temporary, file)
}

// isHere tells whether who asks is on this machine; own is what it asks at, or nil.
func isHere(remote string, own net.Addr) bool {
	host, _, err := net.SplitHostPort(remote)
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return false
	}
	at, _ := own.(*net.TCPAddr)
	return ip.IsLoopback() || at != nil && ip.Equal(at.IP)
}
