package network_test

import (
	"net/netip"
	"testing"

	"github.com/mekcloud/mek/internal/network"
)

func TestLastAddress(t *testing.T) {
	for cidr, want := range map[string]string{"10.0.0.0/8": "10.255.255.255", "10.1.2.3/23": "10.1.3.255", "10.0.0.7/32": "10.0.0.7", "0.0.0.0/0": "255.255.255.255",
		"2001:db8::/61": "2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:db8::1/128": "2001:db8::1"} {
		if got := network.LastAddress(netip.MustParsePrefix(cidr)); got.String() != want {
			t.Errorf("%s ends at %s", cidr, got)
		}
	}
}

// Each address of the pools comes once, whatever their version, and no other.
func TestNthAddress(t *testing.T) {
	for _, ends := range [][2]string{{"10.0.0.250", "10.0.1.5"}, {"2001:db8::fffa", "2001:db8::1:5"}} {
		first := netip.MustParseAddr(ends[0])
		pools := []network.Range{{Start: first, End: netip.MustParseAddr(ends[1])}, {Start: netip.MustParseAddr(ends[1]).Next(), End: netip.MustParseAddr(ends[1]).Next()}}
		seen := map[netip.Addr]bool{}
		for n := range uint64(13) {
			a, ok := network.NthAddress(pools, n<<2)
			if !ok || seen[a] || !pools[0].Contains(a) && !pools[1].Contains(a) {
				t.Errorf("number %d is %v", n, a)
			}
			seen[a] = true
		}
		if a, ok := network.NthAddress(pools, 13<<2); !ok || a != first {
			t.Errorf("after the last comes %v", a)
		}
	}
	if _, ok := network.NthAddress(nil, 3); ok {
		t.Error("no pools have an address")
	}
}
