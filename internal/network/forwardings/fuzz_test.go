package forwardings

import (
	"testing"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/rest"
)

// FuzzForwarding: whatever is accepted has ranges of equal length within what
// ports can be, and a protocol that the engine balances.
func FuzzForwarding(f *testing.F) {
	f.Add(`{"internal_port_id":"6f0c0000-0000-4000-8000-000000000001","internal_port":80,"external_port":8080,"protocol":"tcp"}`)
	f.Add(`{"internal_port_id":"6f0c0000-0000-4000-8000-000000000001","internal_port_range":"1:65535","external_port_range":"1:65535","protocol":"UDP","internal_ip_address":"10.0.0.1"}`)
	f.Add(`{"internal_port_id":"6f0c0000-0000-4000-8000-000000000001","internal_port_range":"9","external_port_range":"-1:0","protocol":"icmp"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in body
		if rest.DecodeValue([]byte(text), &in) != nil {
			return
		}
		var x network.Forwarding
		if in.apply(&x) != nil {
			return
		}
		if x.InternalFirst < 1 || x.InternalLast > 65535 || x.ExternalFirst < 1 || x.ExternalLast > 65535 || x.InternalFirst > x.InternalLast ||
			x.InternalLast-x.InternalFirst != x.ExternalLast-x.ExternalFirst {
			t.Errorf("%q gives %+v", text, x)
		}
		if x.Protocol != "tcp" && x.Protocol != "udp" && x.Protocol != "sctp" {
			t.Errorf("%q has protocol %q", text, x.Protocol)
		}
	})
}
