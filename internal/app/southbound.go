package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/hosts"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/network/engines"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/internal/reconcile"
)

// southboundStream leads ovn-controller of a host that joined to OVN's
// southbound database. So no port of the database faces a network, and a host that
// was removed is cut off from it with everything else.
const southboundStream = "ovn-southbound"

// serveSouthbound is the server's end. The database takes the host for whom
// its certificate names, which is made here by the name that the host proved to the bus: so it may change
// only what OVN lets a host change, of its own (docs/adr/0006).
func serveSouthbound(socket string, keys pki.Local, clk clock.Clock) hostlink.StreamHandler {
	return func(ctx context.Context, host string, _ json.RawMessage) (io.ReadWriteCloser, error) {
		limit, cancel := context.WithTimeout(ctx, southboundPatience)
		defer cancel()
		port, err := ovn.HostsPort(limit, "unix:"+socket)
		if err != nil {
			return nil, err
		}
		conf, err := keys.Client(engines.SouthboundName, host, clk)
		if err != nil {
			return nil, err
		}
		d := tls.Dialer{Config: conf}
		conn, err := d.DialContext(limit, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return nil, fault.Unavailablef("the southbound database does not answer").Because(err)
		}
		return conn, nil
	}
}

// southboundPatience is how long the database may take to let a host in: it may
// be new, and its machine busy.
const southboundPatience = time.Minute

// carrySouthbound is the host's end: a socket where the database's would be if
// the server were here. What comes while the server is away is turned off, and
// ovn-controller tries again.
func (h *host) carrySouthbound(ctx context.Context) error {
	if err := os.Remove(h.cfg.Southbound); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("southbound socket: %w", err)
	}
	l, err := net.Listen("unix", h.cfg.Southbound)
	if err != nil {
		return fmt.Errorf("southbound socket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // ends Accept
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("southbound socket: %w", err)
		}
		work.Go(func() {
			if err := h.leadSouthbound(ctx, conn); err != nil && ctx.Err() == nil {
				h.log.Debug("no way to the southbound database; ovn-controller asks again", "error", err)
			}
		})
	}
}

func (h *host) leadSouthbound(ctx context.Context, local net.Conn) error {
	defer local.Close()
	up, err := h.relay.Current()
	if err != nil {
		return err
	}
	far, err := up.Open(ctx, southboundStream, struct{}{})
	if err != nil {
		return err
	}
	ends := sync.OnceFunc(func() {
		_ = local.Close() // both are closed together: half a connection is of no use here
		_ = far.Close()
	})
	stop := context.AfterFunc(ctx, ends)
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		defer ends()
		_, _ = io.Copy(local, far) // the end is all there is to know
	})
	_, err = io.Copy(far, local)
	ends()
	back.Wait()
	return err
}

// pruneChassis takes hosts that were removed out of OVN's southbound database,
// where that is.
func (b *builder) pruneChassis(known *hosts.Hosts) []reconcile.Reconciler {
	if b.Config.Southbound == "" {
		return nil
	}
	southbound := &ovn.Chassis{Endpoint: "unix:" + b.Config.Southbound}
	return []reconcile.Reconciler{{Name: "network.chassis", Every: 20 * time.Second, Run: func(ctx context.Context) error {
		names, err := b.shared.joining.Names(ctx)
		if err != nil {
			return err
		}
		all, err := known.List(ctx)
		if err != nil {
			return err
		}
		for _, h := range all {
			names = append(names, h.Name)
		}
		removed, err := southbound.Prune(ctx, append(names, b.Config.HostName))
		for _, name := range removed {
			b.Log.Info("a host that was removed is taken out of the network", "host", name)
		}
		if fault.Is(err, fault.Unavailable) {
			return nil // it is being started
		}
		return err
	}}}
}
