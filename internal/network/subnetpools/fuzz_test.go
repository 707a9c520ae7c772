package subnetpools

import (
	"testing"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/rest"
)

// FuzzPool: whatever is accepted has ranges of one version that do not overlap,
// and lengths in order.
func FuzzPool(f *testing.F) {
	f.Add(`{"prefixes":["10.0.0.0/8","10.1.0.0/16"],"min_prefixlen":"16"}`)
	f.Add(`{"prefixes":["2001:db8::/32","2001:db9::/32"],"default_prefixlen":64,"default_quota":null}`)
	f.Add(`{"prefixes":["0.0.0.0/0"],"max_prefixlen":33}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in body
		if rest.DecodeValue([]byte(text), &in) != nil {
			return
		}
		change, err := in.change()
		if err != nil {
			return
		}
		p := network.SubnetPool{DefaultBits: -1, MinBits: -1, MaxBits: -1}
		change(&p)
		if p.Normalize() != nil {
			return
		}
		if p.MinBits > p.DefaultBits || p.DefaultBits > p.MaxBits {
			t.Errorf("%q gives lengths %d, %d, %d", text, p.MinBits, p.DefaultBits, p.MaxBits)
		}
		for i, a := range p.Prefixes {
			for _, b := range p.Prefixes[:i] {
				if a.Overlaps(b) || a.Addr().Is4() != b.Addr().Is4() {
					t.Errorf("%q has %v and %v", text, a, b)
				}
			}
		}
	})
}
