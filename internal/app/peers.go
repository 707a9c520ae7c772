package app

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/peers"
	"github.com/mekcloud/mek/internal/task"
)

// newPeers is this server's view of those that share its database; nil for none.
func newPeers(p Parts) *peers.Peers {
	view := peers.New(peers.Config{DB: p.DB, Clock: p.Clock, Log: p.Log, Hosts: p.Hub.Names,
		Self: peers.Self{Name: p.Config.HostName, URL: ownURL(p.Config.Config)}})
	if view.Alone() {
		return nil
	}
	p.Hub.Beside(view)
	return view
}

// ownURL is where the other servers reach this one's front door.
func ownURL(c config.Config) string {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "" // Validate has refused it
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = c.HostName
	}
	return c.Scheme() + "://" + net.JoinHostPort(host, port)
}

// buildTasks makes the engine of sagas, which leaves to the other servers what is theirs.
func (b *builder) buildTasks() {
	o := task.Options{DB: b.DB, Clock: b.Clock, Log: b.Log, Owner: b.Config.HostName, Faults: b.Faults}
	if b.Peers != nil {
		o.Peers = b.Peers
	}
	b.tasks = task.New(o)
	b.background("tasks", b.tasks.Run)
	if b.Peers == nil {
		return
	}
	b.background("beats", b.Peers.Run)
	b.Peers.OnChange(b.tasks.PeersChanged)
	b.heard[task.Topic] = func(_ context.Context, saga string) { b.tasks.Heard(saga) }
	b.missed = append(b.missed, b.tasks.PeersChanged)
}

// listenPause is between attempts to hear the other servers.
const listenPause = 500 * time.Millisecond

// listen passes on what other servers tell, until ctx ends.
func (b *builder) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		err := b.DB.Listen(ctx, func() {
			for _, look := range b.missed {
				look()
			}
		}, func(message string) {
			topic, text, _ := strings.Cut(message, " ")
			if f := b.heard[topic]; f != nil { // another release may tell more
				f(ctx, text)
			}
		})
		if err != nil && ctx.Err() == nil {
			b.Log.Warn("other servers are not heard; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-b.Clock.After(listenPause):
		}
	}
	return nil
}
