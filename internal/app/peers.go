package app

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
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
	return view
}

// ownURL is where the other servers reach this one's front door.
func ownURL(c config.Config) string {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "" // Validate has refused it
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		if host = c.Address; host == "" {
			host = c.HostName
		}
	}
	return c.Scheme() + "://" + net.JoinHostPort(host, port)
}

// buildTasks makes the engine of sagas, which leaves to the other servers what is theirs.
func (b *builder) buildTasks() {
	o := task.Options{DB: b.DB, Clock: b.Clock, Log: b.Log, Owner: b.Config.HostName, Faults: b.Faults, Turn: b.gate.traffic.step, Crowded: b.gate.traffic.crowded}
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
	b.heard[task.Given] = func(_ context.Context, server string) {
		if server == b.Config.HostName {
			b.tasks.PeersChanged()
		}
	}
	b.missed = append(b.missed, b.tasks.PeersChanged)
	others := &beside{b.Peers, make(chan string, 1024)}
	b.Hub.Beside(others)
	b.background("pokes", func(ctx context.Context) error { return others.run(ctx, b) })
	b.heard[pokeTopic] = func(_ context.Context, text string) {
		host, section, _ := strings.Cut(text, " ")
		b.Hub.Poked(host, hostlink.Section(section))
	}
}

// beside is the other servers as the hub sees them.
type beside struct {
	*peers.Peers
	pokes chan string
}

const pokeTopic = "poke"

// Poke implements hub.Others.
func (o *beside) Poke(host string, section hostlink.Section) {
	select {
	case o.pokes <- host + " " + string(section):
	default: // every host is rendered again each minute
	}
}

// run passes pokes on, all that are waiting at once.
func (o *beside) run(ctx context.Context, b *builder) error {
	for {
		var all []string
		select {
		case <-ctx.Done():
			return nil
		case one := <-o.pokes:
			all = append(all, one)
		}
		for len(o.pokes) > 0 {
			all = append(all, <-o.pokes)
		}
		err := b.DB.Write(ctx, func(tx *db.Tx) error {
			for _, one := range all {
				tx.Notify(pokeTopic, one)
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			b.Log.Debug("other servers were not poked; hosts are rendered again in a minute", "error", err)
		}
	}
}

// lead tells whether this server has a role, for features that write where one
// server may write at a time. Nil where there is one server.
func (b *builder) lead(role string) func(ctx context.Context) (func() bool, error) {
	if b.Peers == nil {
		return nil
	}
	return func(ctx context.Context) (func() bool, error) {
		term := b.Peers.Term()
		leads, err := b.Peers.Lead(ctx, role)
		if err != nil || !leads {
			return nil, err
		}
		return func() bool { return b.Peers.Holds(term) }, nil
	}
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
