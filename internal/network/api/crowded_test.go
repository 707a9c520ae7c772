package networkapi_test

import (
	"fmt"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
)

// TestAddressesOfCrowdedSubnets: addresses are guessed, and all of a subnet are
// given out all the same, each once; then those of the next subnet, and then none.
func TestAddressesOfCrowdedSubnets(t *testing.T) {
	dbtest.EachOne(t, func(t *testing.T) {
		c := testcloud.New(t)
		network := create(c.Demo, "network", "networks", m{"name": "n"}).Expect(201).String("network.id")
		subnet := func(cidr string) {
			t.Helper()
			create(c.Demo, "subnet", "subnets", m{"network_id": network, "cidr": cidr, "ip_version": 4, "enable_dhcp": false}).Expect(201)
		}
		seen := map[string]bool{}
		fill := func(n int) {
			t.Helper()
			for range n {
				p := create(c.Demo, "port", "ports", m{"network_id": network}).Expect(201)
				address := p.String("port.fixed_ips.0.ip_address")
				if seen[address] || address == "" {
					t.Fatalf("%q is given out twice", address)
				}
				seen[address] = true
				if shown := c.Demo.Get(base + "/ports/" + p.String("port.id")).Expect(200).String("port.fixed_ips.0.ip_address"); shown != address {
					t.Errorf("answered with %s, shown with %s", address, shown)
				}
			}
		}
		full := func() {
			t.Helper()
			if got := create(c.Demo, "port", "ports", m{"network_id": network}).Expect(409).String("NeutronError.type"); got != "IpAddressGenerationFailure" {
				t.Errorf("a full network: %s", got)
			}
		}
		subnet("10.8.0.0/28") // 13 beside the gateway
		fill(13)
		full()
		subnet("10.8.1.0/29")
		fill(5)
		full()
	})
}

// TestRangesAreKnownAtOnce: what subnets there are is kept in memory, and each new
// one fits to those just made, one by one or several at once, and to those that
// went or are on another network.
func TestRangesAreKnownAtOnce(t *testing.T) {
	dbtest.EachOne(t, func(t *testing.T) {
		c := testcloud.New(t)
		network := create(c.Demo, "network", "networks", m{"name": "n"}).Expect(201).String("network.id")
		other := create(c.Demo, "network", "networks", m{"name": "o"}).Expect(201).String("network.id")
		attributes := func(n string, i int) m {
			return m{"network_id": n, "cidr": fmt.Sprintf("10.7.%d.0/24", i), "ip_version": 4}
		}
		last := ""
		for i := range 6 {
			last = create(c.Demo, "subnet", "subnets", attributes(network, i)).Expect(201).String("subnet.id")
			for j := range i + 1 {
				create(c.Demo, "subnet", "subnets", attributes(network, j)).Expect(400)
			}
		}
		create(c.Demo, "subnet", "subnets", attributes(other, 0)).Expect(201)
		c.Demo.Do("POST", base+"/subnets", m{"subnets": []m{attributes(network, 6), attributes(network, 7)}}).Expect(201)
		c.Demo.Do("POST", base+"/subnets", m{"subnets": []m{attributes(network, 8), attributes(network, 8)}}).Expect(400)
		for i := range 8 {
			create(c.Demo, "subnet", "subnets", attributes(network, i)).Expect(400)
		}
		c.Demo.Do("DELETE", base+"/subnets/"+last, nil).Expect(204)
		create(c.Demo, "subnet", "subnets", attributes(network, 5)).Expect(201)
		create(c.Demo, "subnet", "subnets", attributes(network, 5)).Expect(400)
		create(c.Demo, "subnet", "subnets", attributes(network, 8)).Expect(201)
	})
}

// TestSegmentsAreTheirOwn: tunnelled networks have segments of their own, though
// nobody looks for a free one beforehand; and the flat network is one.
func TestSegmentsAreTheirOwn(t *testing.T) {
	c := testcloud.New(t)
	seen := map[any]bool{}
	for range 40 {
		s := create(c.Admin, "network", "networks", m{"name": "n"}).Expect(201).Value("network.provider:segmentation_id")
		if seen[s] || s == nil {
			t.Fatalf("segment %v twice", s)
		}
		seen[s] = true
	}
	flat := m{"name": "flat", "provider:network_type": "flat", "provider:physical_network": "public"}
	create(c.Admin, "network", "networks", flat).Expect(201)
	if got := create(c.Admin, "network", "networks", flat).Expect(409).String("NeutronError.type"); got != "FlatNetworkInUse" {
		t.Errorf("the second flat network: %s", got)
	}
}
