package installation

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/joining"
)

// TokenOptions are what only "mek agent token" is told.
type TokenOptions struct {
	Address  string        // of this machine, for the others; empty: what it has, or the one that leads outwards
	Lifetime time.Duration // 0: an hour
}

// Token prints a word by which one machine can join. The first time it opens
// the server's ports for agents on an address that other machines reach.
func (i *Installation) Token(ctx context.Context, o TokenOptions) error {
	if err := i.need(); err != nil {
		return err
	}
	if err := i.mayGrow(); err != nil {
		return err
	}
	if host, _, err := net.SplitHostPort(i.cfg.Bus.Listen); i.cfg.Address == "" || err != nil || isLoopback(host) || o.Address != "" && o.Address != i.cfg.Address {
		if err := i.openToOthers(ctx, o.Address); err != nil {
			return err
		}
	}
	c, err := i.client(ctx, "admin")
	if err != nil {
		return &Failure{What: "the cloud cannot be asked", Why: errors.New(apiclient.Reason(err)), Do: "Look at it:  mek status"}
	}
	var made joining.Minted
	if err := c.OwnPost(ctx, "/agents/tokens", joining.MintRequest{Seconds: int(o.Lifetime.Seconds())}, &made); err != nil {
		return &Failure{What: "the cloud makes no token", Why: errors.New(apiclient.Reason(err))}
	}
	if i.Print.JSON {
		return i.Print.object(made)
	}
	i.Print.note("One machine can join with this until %s:\n  mek agent join TOKEN\n", made.Expires.Local().Format("2006-01-02 15:04"))
	i.Print.data("%s", made.Token)
	return nil
}

func (i *Installation) mayGrow() error {
	switch host, _, err := net.SplitHostPort(i.cfg.Listen); {
	case i.cfg.Joined():
		return &Failure{Code: ExitUsage, What: "this machine is a host of a cloud whose server is elsewhere", Do: "Make the token there: " + i.cfg.Join.API[0]}
	case i.cfg.Simulated():
		return &Failure{Code: ExitUsage, What: "a cloud of simulated hosts takes no real ones", Do: "Make another cloud:  mek up --data-dir DIR"}
	case err != nil || i.cfg.InsecureHTTP || isLoopback(host):
		return &Failure{Code: ExitUsage, What: "the API is open to this machine only: " + i.cfg.Listen, Do: "Open it first:  mek up --listen ADDRESS:PORT"}
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// openToOthers has the bus and the tunnels of this machine use an address that
// other machines reach.
func (i *Installation) openToOthers(ctx context.Context, address string) error {
	if address == "" {
		address = i.cfg.Address
	}
	if address == "" {
		host, _, err := net.SplitHostPort(i.cfg.Listen)
		if ip, err2 := netip.ParseAddr(host); err == nil && err2 == nil && !ip.IsUnspecified() {
			address = host
		} else if address, err = ownAddress("192.0.2.1:9"); err != nil {
			return &Failure{Code: ExitUsage, What: "this machine has no way outwards", Why: err, Do: "Name its address:  mek agent token --address ADDRESS"}
		}
	}
	if _, err := netip.ParseAddr(address); err != nil || isLoopback(address) {
		return &Failure{Code: ExitUsage, What: address + " is no address that others reach", Do: "Name one:  mek agent token --address ADDRESS"}
	}
	led, err := i.ledger()
	if err != nil {
		return err
	}
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer unlock()
	settings := map[string]any{"address": address, "network.tunnel_address": address}
	for key, was := range map[string]string{"bus.listen": i.cfg.Bus.Listen, "bus.streams": i.cfg.Bus.Streams} {
		_, port, err := net.SplitHostPort(was)
		if err != nil {
			return &Failure{Code: ExitUsage, What: key, Why: err, Look: i.cfg.Path(config.OperatorFile)}
		}
		now := net.JoinHostPort(address, port)
		if now != was {
			l, err := net.Listen("tcp", now)
			if err != nil {
				return &Failure{What: "the server cannot listen on " + now, Why: err, Do: "Set " + key + " in " + i.cfg.Path(config.OperatorFile)}
			}
			_ = l.Close() // nobody was accepted
		}
		settings[key] = now
	}
	if err := i.remember(settings); err != nil {
		return err
	}
	if _, err := i.Certificates(); err != nil {
		return err
	}
	i.Print.note("Opening the cloud for other machines at %s; server and agent restart, guests go on.", address)
	out := i.Print.Out
	i.Print.Out = i.Print.Err // what the command was asked for is the token alone
	defer func() { i.Print.Out = out }()
	return i.start(ctx, led)
}
