package subnets

import (
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/rest"
)

// FuzzSubnet: whatever is accepted has pools inside of its range, and renders
// to DHCP answers without a line break or a stray brace.
func FuzzSubnet(f *testing.F) {
	f.Add(`{"network_id":"6f0c0000-0000-4000-8000-000000000001","cidr":"10.0.0.0/24","dns_nameservers":["192.0.2.1"],"host_routes":[{"destination":"198.51.100.0/24","nexthop":"10.0.0.9"}]}`)
	f.Add(`{"network_id":"6f0c0000-0000-4000-8000-000000000001","cidr":"2001:db8::/64","ipv6_ra_mode":"slaac","ipv6_address_mode":"slaac","gateway_ip":null}`)
	f.Add(`{"network_id":"6f0c0000-0000-4000-8000-000000000001","cidr":"10.0.0.0/31","allocation_pools":[{"start":"10.0.0.0","end":"10.0.0.1"}],"gateway_ip":""}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in createBody
		if rest.DecodeValue([]byte(text), &in) != nil {
			return
		}
		d, err := in.draft()
		if err != nil || d.Cut && !d.CIDR.IsValid() {
			return
		}
		s := d.Subnet
		for _, p := range s.Pools {
			if !s.CIDR.Contains(p.Start) || !s.CIDR.Contains(p.End) || p.Start.Compare(p.End) > 0 {
				t.Errorf("%q has a pool %v-%v outside of %v", text, p.Start, p.End, s.CIDR)
			}
		}
		s.ID = "s"
		for _, row := range ovn.RenderNetwork(ovn.NetworkView{Network: network.Network{Standard: network.Standard{ID: "n"}, MTU: 1442}, Subnets: []network.Subnet{*s}}) {
			options, _ := row.Columns["options"].(ovn.Map) // only DHCP has them here
			for name, v := range options {
				inner := strings.TrimSuffix(strings.TrimPrefix(v, "{"), "}")
				if strings.ContainsAny(inner, "{}\n\"") {
					t.Errorf("%q renders %s to %q", text, name, v)
				}
			}
		}
	})
}
