package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/joining"
	"github.com/mekcloud/mek/internal/pki"
)

// joining builds what lets further machines in as hosts.
func (b *builder) joining(ctx context.Context) error {
	s := joining.New(joining.Config{DB: b.DB, Clock: b.Clock, Log: b.Log, Settings: joinSettings(b.Config.Config), Home: b.Config.HostName,
		Authority: func() (*pki.Authority, error) {
			return pki.LoadAuthority(pki.FilesIn(b.Config.DataDir), b.Master, b.Clock)
		}})
	s.Handle(&b.routes, b.administrator)
	b.shared.joining = s
	b.Hub.HandleStream(joining.StreamServers, s.Stream)
	if err := s.Announce(ctx); err != nil {
		return err
	}
	if b.Config.Simulated() || b.Config.ServerOnly {
		return nil
	}
	return s.AtHome(ctx)
}

// joinSettings are what hosts that join are told; no servers while this cloud
// has no address that others reach.
func joinSettings(c config.Config) joining.Settings {
	s := joining.Settings{Region: c.Region, PublicRange: c.Network.PublicRange, Physical: c.Network.PhysicalNet, DNSDomain: c.Network.DNSDomain}
	_, port, err := net.SplitHostPort(c.Listen)
	if c.Address == "" || err != nil {
		return s
	}
	if !c.InsecureHTTP {
		s.API = []string{"https://" + net.JoinHostPort(c.Address, port)}
	}
	s.Servers, s.Streams = []string{reached(c.Address, c.Bus.Listen)}, []string{reached(c.Address, c.Bus.Streams)}
	return s
}

// reached is where others find what listens on every address of this machine.
func reached(address, listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip, err2 := netip.ParseAddr(host); err == nil && (host == "" || err2 == nil && ip.IsUnspecified()) {
		return net.JoinHostPort(address, port)
	}
	return listen
}

var errNoAdministrator = errors.New("not an administrator")

// administrator tells who asks, if it is an administrator with the whole of its
// rights: what narrows a token to some APIs does not know these routes.
func (b *builder) administrator(r *http.Request) (event.Record, error) {
	caller, err := b.shared.auth.Authenticate(r.Context(), r.Header.Get("X-Auth-Token"))
	if err != nil {
		return event.Record{}, err
	}
	if !caller.HasRole("admin") || caller.Permits != nil {
		return event.Record{}, errNoAdministrator
	}
	return event.Record{UserID: caller.UserID, ProjectID: caller.ProjectID}, nil
}
