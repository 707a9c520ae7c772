package installation

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/pki"
)

// Certificates makes or renews every certificate of this machine. It is called
// by up and, every hour, by the supervisor.
func (i *Installation) Certificates() (changed bool, err error) {
	if i.cfg.Joined() {
		return i.renewHost()
	}
	uid, gid, err := plan.Account()
	if err != nil {
		return false, err
	}
	server, agent := i.cfg.Server(), i.cfg.Agent()
	master, err := pki.MasterKey(server.MasterKeyFile)
	if err != nil {
		return false, err
	}
	authority, err := pki.OpenAuthority(pki.FilesIn(i.cfg.DataDir), master, i.cfg.HostName, i.Clock)
	if err != nil {
		return false, err
	}
	names := doorNames(i.cfg)
	var door, bus, own1 bool
	if !i.cfg.InsecureHTTP {
		if door, err = authority.EnsureDoor(server.CertFile, server.KeyFile, names); err != nil {
			return false, err
		}
	}
	local := pki.Names{Hosts: []string{"localhost"}, Addresses: names.Addresses}
	if bus, err = authority.EnsureBus(server.Bus.CertFile, server.Bus.KeyFile, pki.RoleServer, i.cfg.HostName, local); err != nil {
		return false, err
	}
	if own1, err = authority.EnsureBus(agent.Bus.CertFile, agent.Bus.KeyFile, pki.RoleAgent, i.cfg.HostName, pki.Names{}); err != nil {
		return false, err
	}
	root, err := os.ReadFile(server.CAFile)
	if err != nil {
		return false, fmt.Errorf("root certificate: %w", err)
	}
	if have, err := os.ReadFile(server.Bus.CAFile); err != nil || !bytes.Equal(have, root) {
		if err := os.WriteFile(server.Bus.CAFile, root, 0o644); err != nil {
			return false, fmt.Errorf("root certificate: %w", err)
		}
	}
	for _, path := range []string{server.MasterKeyFile, server.KeyFile, server.Bus.KeyFile,
		pki.FilesIn(i.cfg.DataDir).RootKey, pki.FilesIn(i.cfg.DataDir).IntermediateKey} {
		if path == "" {
			continue
		}
		if err := own(path, uid, gid); err != nil {
			return false, err
		}
	}
	return door || bus || own1, nil
}

// doorNames is what the front door may be called: host name, localhost, every
// address of this machine, and what the operator added.
func doorNames(c config.Config) pki.Names {
	n := pki.Names{Hosts: []string{c.HostName, "localhost"}}
	seen := map[netip.Addr]bool{}
	add := func(a netip.Addr) {
		if a = a.Unmap().WithZone(""); a.IsValid() && !a.IsLinkLocalUnicast() && !seen[a] {
			seen[a] = true
			n.Addresses = append(n.Addresses, a)
		}
	}
	add(netip.MustParseAddr("127.0.0.1"))
	add(netip.MustParseAddr("::1"))
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() {
			add(a)
		}
	}
	if a, err := netip.ParseAddr(c.Address); err == nil {
		add(a)
	}
	if public, err := netip.ParsePrefix(c.Network.PublicRange); err == nil && c.HostHere() {
		add(public.Addr().Next()) // of this host on the external network, where it will be
	}
	metadata, err := netip.ParsePrefix(c.Network.MetadataRange)
	if err != nil {
		metadata = netip.Prefix{} // refused by validation
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		addrs = nil // loopback and what was configured remain
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !metadata.Contains(p.Addr()) { // those stand for guests
			add(p.Addr())
		}
	}
	for _, name := range c.ServerNames {
		if a, err := netip.ParseAddr(name); err == nil {
			add(a)
		} else {
			n.Hosts = append(n.Hosts, name)
		}
	}
	return n
}
