package networkapi

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

// TestCardsOfServers: what lists of servers show of their ports, read in few
// words, in the order in which the ports were made.
func TestCardsOfServers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSite(t, d, "")
		type m = map[string]any
		n := s.made("network", "networks", m{"name": "a net with spaces"})
		four := s.made("subnet", "subnets", m{"network_id": n, "cidr": "10.0.0.0/24", "ip_version": 4,
			"allocation_pools": []any{m{"start": "10.0.0.100", "end": "10.0.0.200"}}}) // others take no address of those below
		six := s.made("subnet", "subnets", m{"network_id": n, "cidr": "fd00::/64", "ip_version": 6})
		bare := s.made("network", "networks", m{"name": "bare"})
		out := s.made("network", "networks", m{"name": "out", "router:external": true})
		s.made("subnet", "subnets", m{"network_id": out, "cidr": "192.0.2.0/24", "ip_version": 4})
		router := s.made("router", "routers", m{"external_gateway_info": m{"network_id": out}})
		if status, got := s.do("PUT", "/routers/"+router+"/add_router_interface", m{"subnet_id": four}); status != 200 {
			t.Fatal(got)
		}
		groups := []string{s.made("security_group", "security-groups", m{"name": "first group"}), s.made("security_group", "security-groups", m{"name": "second"})}
		fixed := []m{{"subnet_id": four, "ip_address": "10.0.0.9"}, {"subnet_id": four, "ip_address": "10.0.0.10"}, {"subnet_id": six, "ip_address": "fd00::9"}}
		port := s.made("port", "ports", m{"network_id": n, "device_id": "server-1", "fixed_ips": fixed, "security_groups": groups, "mac_address": "fa:16:3e:00:00:09"})
		last := s.made("port", "ports", m{"network_id": bare, "device_id": "server-1", "port_security_enabled": false})
		other := s.made("port", "ports", m{"network_id": n, "device_id": "server-2", "fixed_ips": fixed[:0], "security_groups": groups[1:]})
		for range 2 {
			f := s.made("floatingip", "floatingips", m{"floating_network_id": out})
			if status, got := s.do("PUT", "/floatingips/"+f, m{"floatingip": m{"port_id": port, "fixed_ip_address": "10.0.0.10"}}); status != 200 && status != 409 {
				t.Fatal(got)
			}
		}
		all, err := s.s.ForCompute().Shown(t.Context(), "server-2", "server-1", "nobody")
		if err != nil || len(all) != 2 || len(all["server-1"]) != 2 || len(all["server-2"]) != 1 {
			t.Fatalf("%+v %v", all, err)
		}
		a, b, c := all["server-1"][0], all["server-1"][1], all["server-2"][0]
		if a.PortID != port || b.PortID != last || c.PortID != other {
			t.Errorf("ports %s %s %s", a.PortID, b.PortID, c.PortID)
		}
		var addresses []string
		for _, x := range a.Addresses {
			addresses = append(addresses, fmt.Sprintf("%s/%d/%v/%v", x.Address, x.Version, x.Floating, x.SubnetID == four))
		}
		want := []string{"10.0.0.9/4/false/true", "10.0.0.10/4/false/true", addresses[2], "fd00::9/6/false/false"}
		if len(addresses) != 4 || !slices.Equal(addresses, want) || !a.Addresses[2].Floating || a.Addresses[2].Version != 4 {
			t.Errorf("addresses %v", addresses)
		}
		names := []string{"first group", "second"}
		if groups[0] > groups[1] { // they are listed by their ids
			slices.Reverse(names)
		}
		if !slices.Equal(a.Groups, names) || len(b.Groups) != 0 || !slices.Equal(c.Groups, []string{"second"}) {
			t.Errorf("groups %q %q %q", a.Groups, b.Groups, c.Groups)
		}
		if a.NetworkName != "a net with spaces" || b.NetworkName != "bare" || a.NetworkID != n || a.MTU == 0 || a.MAC != "fa:16:3e:00:00:09" || a.ServerID != "server-1" ||
			!a.Existing || a.Active || len(b.Addresses) != 0 {
			t.Errorf("%+v %+v", a, b)
		}
	})
}
