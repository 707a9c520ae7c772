package ovs_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/test/await"
)

// city is a network with a guest that serves and two that ask, each in a group
// of its own besides the one that lets everybody speak first.
type city struct {
	*host
	w                                 *world
	web, clients                      network.SecurityGroup
	server, client, stranger          *guest
	serverPort, clientPort, otherPort ovn.PortView
}

func newCity(t *testing.T) *city {
	h := startHost(t)
	c := &city{host: h, web: network.SecurityGroup{Standard: named("web"), Stateful: true}, clients: network.SecurityGroup{Standard: named("clients"), Stateful: true}}
	c.w = newWorldOf(h, network.Subnet{Standard: named("sub-6"), NetworkID: "11111111-net", IPVersion: 6, CIDR: netip.MustParsePrefix("fd00:1::/64"),
		Gateway: netip.MustParseAddr(ip6R), EnableDHCP: true, IPv6AddressMode: "dhcpv6-stateful", IPv6RAMode: "dhcpv6-stateful"})
	speak := network.SecurityGroup{Standard: named("speak"), Stateful: true}
	h.apply(network.GroupScope(speak.ID), ovn.RenderGroup(speak, []network.Rule{
		{Standard: named("s-4"), Direction: network.Egress, EtherType: network.IPv4}, {Standard: named("s-6"), Direction: network.Egress, EtherType: network.IPv6}}))
	c.rules(c.web)
	c.rules(c.clients)
	port := func(name, mac, ip4, ip6 string, groups ...string) (ovn.PortView, *guest) {
		v := c.w.port(name, mac, ip4)
		v.Port.FixedIPs = append(v.Port.FixedIPs, fixed("sub-6", ip6)...)
		v.Port.SecurityGroups = groups
		g := h.boot(v, nil, ip4+"/24", "10.1.0.1")
		g.address(ip6 + "/64")
		return v, g
	}
	c.clientPort, c.client = port("aaaaaaaa-port", macA, ipA, ip6A, speak.ID, c.clients.ID)
	c.serverPort, c.server = port("bbbbbbbb-port", macB, ipB, ip6B, c.web.ID)
	c.otherPort, c.stranger = port("cccccccc-port", macC, ipC, ip6C, speak.ID)
	for _, n := range []int{6999, 7000, 7005, 7010, 7011} {
		c.server.echo("tcp", n)
	}
	c.server.echo("udp", 7005)
	c.stranger.echo("tcp", 7005)
	return c
}

// rules gives a group these rules and no others.
func (c *city) rules(g network.SecurityGroup, rules ...network.Rule) {
	c.t.Helper()
	for i := range rules {
		rules[i].Standard = named(fmt.Sprint(g.ID, "-", i))
		if rules[i].Direction == "" {
			rules[i].Direction = network.Ingress
		}
		if rules[i].EtherType == "" {
			rules[i].EtherType = network.IPv4
		}
	}
	c.apply(network.GroupScope(g.ID), ovn.RenderGroup(g, rules))
}

func (c *city) join(v *ovn.PortView, groups ...string) {
	c.t.Helper()
	v.Port.SecurityGroups = groups
	c.apply(network.PortScope(v.Port.ID), ovn.RenderPort(*v))
}

// ways are all ways from a guest to the one that serves, those named open.
func (c *city) ways(from *guest, open ...string) []probe {
	var all []probe
	for _, n := range []int{6999, 7000, 7005, 7010, 7011} {
		all = append(all, probe{from: from, network: "tcp4", to: fmt.Sprint(ipB, ":", n)}, probe{from: from, network: "tcp6", to: fmt.Sprintf("[%s]:%d", ip6B, n)})
	}
	all = append(all, probe{from: from, network: "udp4", to: ipB + ":7005"}, probe{from: from, network: "udp6", to: "[" + ip6B + "]:7005"},
		probe{from: from, network: "ping", to: ipB}, probe{from: from, network: "ping", to: ip6B})
	found := 0
	for i, p := range all {
		for _, o := range open {
			if o == p.network+" "+p.to {
				all[i].may = true
				found++
			}
		}
	}
	if found != len(open) {
		c.t.Fatalf("no such ways: %v", open)
	}
	return all
}

var (
	everything = []network.Rule{{EtherType: network.IPv4}, {EtherType: network.IPv6}}
	allWays    = []string{"tcp4 10.1.0.11:6999", "tcp4 10.1.0.11:7000", "tcp4 10.1.0.11:7005", "tcp4 10.1.0.11:7010", "tcp4 10.1.0.11:7011",
		"tcp6 [fd00:1::11]:6999", "tcp6 [fd00:1::11]:7000", "tcp6 [fd00:1::11]:7005", "tcp6 [fd00:1::11]:7010", "tcp6 [fd00:1::11]:7011",
		"udp4 10.1.0.11:7005", "udp6 [fd00:1::11]:7005", "ping 10.1.0.11", "ping fd00:1::11"}
)

// TestSecurityGroupsHold (SEC-22): each kind of rule opens on the data plane
// what it says and nothing beside it, at once, and what is taken back is taken
// from connections that stand, too.
func TestSecurityGroupsHold(t *testing.T) {
	c := newCity(t)
	tcp := func(first, last int) network.Rule {
		return network.Rule{Protocol: "tcp", PortMin: ptr(first), PortMax: ptr(last)}
	}
	v6 := func(r network.Rule) network.Rule { r.EtherType = network.IPv6; return r }
	for _, s := range []struct {
		what  string
		rules []network.Rule
		open  []string
	}{
		{"everything", everything, allWays}, // so all that is closed below is closed by rules
		{"nothing", nil, nil},
		{"a range of ports", []network.Rule{tcp(7000, 7010)}, []string{"tcp4 10.1.0.11:7000", "tcp4 10.1.0.11:7005", "tcp4 10.1.0.11:7010"}},
		{"one port, IPv6", []network.Rule{v6(tcp(7005, 7005))}, []string{"tcp6 [fd00:1::11]:7005"}},
		{"another protocol", []network.Rule{{Protocol: "udp", PortMin: ptr(7000), PortMax: ptr(7010)}}, []string{"udp4 10.1.0.11:7005"}},
		{"a protocol's number", []network.Rule{v6(network.Rule{Protocol: "17"})}, []string{"udp6 [fd00:1::11]:7005"}},
		{"echo requests", []network.Rule{{Protocol: "icmp", PortMin: ptr(8), PortMax: ptr(0)}}, []string{"ping 10.1.0.11"}},
		{"another kind of ICMP", []network.Rule{{Protocol: "icmp", PortMin: ptr(13)}, v6(network.Rule{Protocol: "ipv6-icmp"})}, []string{"ping fd00:1::11"}},
		{"the asker's addresses", []network.Rule{{Protocol: "tcp", RemotePrefix: netip.MustParsePrefix(ipA + "/32")}, v6(network.Rule{Protocol: "udp", RemotePrefix: netip.MustParsePrefix("fd00:1::10/124")})},
			[]string{"tcp4 10.1.0.11:6999", "tcp4 10.1.0.11:7000", "tcp4 10.1.0.11:7005", "tcp4 10.1.0.11:7010", "tcp4 10.1.0.11:7011", "udp6 [fd00:1::11]:7005"}},
		{"another's address", []network.Rule{{RemotePrefix: netip.MustParsePrefix("10.1.0.12/31")}, tcp(7011, 7011)}, []string{"tcp4 10.1.0.11:7011"}},
		{"rules of the other direction", []network.Rule{{Direction: network.Egress}, tcp(7011, 7011)}, []string{"tcp4 10.1.0.11:7011"}},
	} {
		t.Run(s.what, func(t *testing.T) {
			c.rules(c.web, s.rules...)
			expect(t, s.what, c.ways(c.client, s.open...)...)
		})
	}
	t.Run("egress", c.egress)
	t.Run("remote group", c.remoteGroup)
	t.Run("standing connections", c.standing)
	t.Run("allowed addresses", c.allowedAddresses)
}

// egress: who may answer may not ask for that; a rule lets it ask one port.
func (c *city) egress(t *testing.T) {
	c.rules(network.SecurityGroup{Standard: named("speak-in"), Stateful: true}, network.Rule{Protocol: "tcp"})
	c.join(&c.otherPort, "speak", "speak-in")
	defer c.join(&c.otherPort, "speak")
	ask := probe{from: c.server, network: "tcp4", to: ipC + ":7005"}
	c.rules(c.web, network.Rule{Protocol: "tcp", PortMin: ptr(7005), PortMax: ptr(7005)})
	expect(t, "answers alone", append(c.ways(c.client, "tcp4 10.1.0.11:7005"), ask)...)
	ask.may = true
	c.rules(c.web, network.Rule{Direction: network.Egress, Protocol: "tcp", PortMin: ptr(7005), PortMax: ptr(7005), RemotePrefix: netip.MustParsePrefix(ipC + "/32")})
	expect(t, "a question, too", append(c.ways(c.client), ask)...)
}

// remoteGroup: members of another group get in, at the addresses that they
// have, and others do not; whoever leaves is out.
func (c *city) remoteGroup(t *testing.T) {
	c.rules(c.web, network.Rule{Protocol: "tcp", PortMin: ptr(7005), PortMax: ptr(7005), RemoteGroupID: c.clients.ID},
		network.Rule{EtherType: network.IPv6, Protocol: "udp", RemoteGroupID: c.clients.ID})
	member := []string{"tcp4 10.1.0.11:7005", "udp6 [fd00:1::11]:7005"}
	expect(t, "one member", append(c.ways(c.client, member...), c.ways(c.stranger)...)...)
	c.join(&c.otherPort, "speak", c.clients.ID)
	expect(t, "two members", append(c.ways(c.client, member...), c.ways(c.stranger, member...)...)...)
	c.join(&c.clientPort, "speak")
	expect(t, "the first left", append(c.ways(c.client), c.ways(c.stranger, member...)...)...)
	c.join(&c.clientPort, "speak", c.clients.ID)
	c.join(&c.otherPort, "speak")
	expect(t, "as it was", append(c.ways(c.client, member...), c.ways(c.stranger)...)...)
}

// standing: a connection ends to carry anything when what let it in goes: a
// rule, the asker's membership, or the server's.
func (c *city) standing(t *testing.T) {
	let := network.Rule{Protocol: "tcp", PortMin: ptr(7005), PortMax: ptr(7005), RemoteGroupID: c.clients.ID}
	for _, s := range []struct {
		what      string
		cut, mend func()
	}{
		{"the asker leaves the group", func() { c.join(&c.clientPort, "speak") }, func() { c.join(&c.clientPort, "speak", c.clients.ID) }},
		{"the server leaves its group", func() { c.join(&c.serverPort) }, func() { c.join(&c.serverPort, c.web.ID) }},
		{"the rule goes", func() { c.rules(c.web) }, func() { c.rules(c.web, let) }},
		{"the rule is for another port", func() { l := let; l.PortMin, l.PortMax = ptr(7006), ptr(7006); c.rules(c.web, l) }, func() { c.rules(c.web, let) }},
	} {
		s.mend()
		c.rules(c.web, let)
		p := probe{from: c.client, network: "tcp4", to: ipB + ":7005"}
		var conn net.Conn
		await.Nil(t, "a connection", func() error {
			return c.client.in(func() (err error) {
				if conn, err = p.dial(); err == nil {
					err = exchange(conn)
				}
				return err
			})
		})
		if err := errors.Join(exchange(conn), exchange(conn)); err != nil {
			t.Fatalf("%s: before: %v", s.what, err)
		}
		begun, last := time.Now(), time.Now()
		s.cut()
		await.Nil(t, s.what, func() error {
			if exchange(conn) == nil {
				last = time.Now()
				return errors.New("the connection still carries")
			}
			return nil
		})
		t.Logf("%s: the connection carried for %v more", s.what, last.Sub(begun).Round(time.Millisecond))
		if p.answered() {
			t.Errorf("%s: a new connection gets in", s.what)
		}
		_ = conn.Close()
		s.mend()
	}
}

// allowedAddresses: a port speaks from a further address while it may, and
// nobody else does.
func (c *city) allowedAddresses(t *testing.T) {
	const further = "10.1.0.50"
	c.client.address(further + "/32")
	c.stranger.address(further + "/32")
	c.rules(c.web, network.Rule{Protocol: "tcp", RemotePrefix: netip.MustParsePrefix(further + "/32")}, network.Rule{Protocol: "udp"})
	mine, theirs := probe{from: c.client, network: "tcp4", to: ipB + ":7005", by: further}, probe{from: c.stranger, network: "tcp4", to: ipB + ":7005", by: further}
	own, others := probe{from: c.client, network: "udp4", to: ipB + ":7005", may: true}, probe{from: c.stranger, network: "udp4", to: ipB + ":7005", may: true}
	expect(t, "before", mine, theirs, own, others)
	c.clientPort.Port.AddressPairs = []network.AddressPair{{Prefix: netip.MustParsePrefix(further + "/32")}}
	c.join(&c.clientPort, "speak", c.clients.ID)
	mine.may = true
	expect(t, "allowed", mine, theirs, own, others)
	c.clientPort.Port.AddressPairs = []network.AddressPair{{MAC: macX, Prefix: netip.MustParsePrefix(further + "/32")}}
	c.join(&c.clientPort, "speak", c.clients.ID)
	mine.may = false
	expect(t, "allowed with another MAC", mine, theirs, own, others)
	c.clientPort.Port.AddressPairs = nil
	c.join(&c.clientPort, "speak", c.clients.ID)
	expect(t, "taken back", mine, theirs, own, others)
}
