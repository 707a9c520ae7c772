package remote

import (
	"crypto/tls"
	"slices"

	natsd "github.com/nats-io/nats-server/v2/server"
)

// Connected lists the hosts that have a connection to the bus or a stream, in order.
func (s *Server) Connected() []string {
	seen := map[string]bool{}
	for _, c := range s.clients() {
		seen[c.AuthorizedUser] = true
	}
	s.streams.mu.Lock()
	for _, host := range s.streams.open {
		seen[host] = true
	}
	s.streams.mu.Unlock()
	delete(seen, "") // ourselves, and those who have not proved who they are
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Drop ends all connections of a host. It comes back unless HostOf refuses it.
func (s *Server) Drop(host string) {
	for _, c := range s.clients() {
		if c.AuthorizedUser == host {
			_ = s.bus.DisconnectClientByID(c.Cid) // it may have left by itself
		}
	}
	s.mu.Lock()
	known := s.links[host]
	delete(s.links, host)
	s.mu.Unlock()
	if known.link != nil {
		known.link.Down()
	}
	var open []*tls.Conn
	s.streams.mu.Lock()
	for conn, owner := range s.streams.open {
		if owner == host {
			open = append(open, conn)
		}
	}
	s.streams.mu.Unlock()
	for _, conn := range open {
		cutOff(conn)
	}
}

// clients are the connections of agents: the server's own is within the
// process, without TLS.
func (s *Server) clients() []*natsd.ConnInfo {
	all, err := s.bus.Connz(&natsd.ConnzOptions{Username: true, State: natsd.ConnOpen, Limit: 1 << 20})
	if err != nil {
		return nil // only wrong options are refused
	}
	return slices.DeleteFunc(all.Conns, func(c *natsd.ConnInfo) bool { return c.TLSVersion == "" })
}
