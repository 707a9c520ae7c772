package ovs

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/network/hostnet"
)

// How long to wait before looking again for a switch that is away.
const redialEvery = 200 * time.Millisecond

// watchSwitch writes the metadata flows again each time the switch comes back:
// they vanish with its process. A control connection that it never uses tells
// when that happened.
func (d *Driver) watchSwitch(ctx context.Context) {
	seen := false
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.cfg.Run, "vswitchd.ctl"))
		if err != nil {
			if !pause(ctx, redialEvery) {
				return
			}
			continue
		}
		if seen {
			d.rewrite(ctx)
		}
		seen = true
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // wakes the read below
		here, gone := context.WithCancel(ctx)
		var beside sync.WaitGroup
		beside.Go(func() { d.hasten(here, peerOf(conn)) })
		_, _ = conn.Read(make([]byte, 1)) // ends when the switch does
		gone()
		beside.Wait()
		stop()
		_ = conn.Close() // read only; it may be closed already
	}
}

// rewrite puts the metadata flows back, trying until they are in.
func (d *Driver) rewrite(ctx context.Context) {
	for ctx.Err() == nil {
		// A transaction without content returns once the switch has set up its bridges.
		err := d.db.commit(ctx, look())
		if err == nil {
			d.metadataMu.Lock()
			err = d.writeMetadata(ctx, d.metadataPorts)
			d.metadataMu.Unlock()
		}
		if err == nil {
			err = d.guard(ctx)
		}
		if err == nil {
			err = d.routeTunnels(ctx)
		}
		if err == nil {
			d.cfg.Log.Info("switch came back; metadata flows written again")
			d.poke()
			return
		}
		d.cfg.Log.Warn("metadata flows not written after the switch came back; trying again", "error", err)
		pause(ctx, redialEvery)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Metadata makes patches for the networks of these ports, and the flows of the
// metadata bridge.
func (d *Driver) Metadata(ctx context.Context, ports []hostnet.Port) error {
	d.metadataMu.Lock()
	defer d.metadataMu.Unlock()
	d.metadataPorts = ports
	return d.writeMetadata(ctx, ports)
}
