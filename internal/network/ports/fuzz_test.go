package ports

import (
	"regexp"
	"testing"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/rest"
)

var cleanAddress = regexp.MustCompile(`^[0-9a-f:]{17}( [0-9a-f.:/]+)*$`)

// FuzzPort: whatever is accepted renders to addresses only, and to DHCP
// answers that cannot leave their place.
func FuzzPort(f *testing.F) {
	f.Add(`{"network_id":"6f0c0000-0000-4000-8000-000000000001","mac_address":"FA-16-3E-00-00-01","allowed_address_pairs":[{"ip_address":"10.0.0.0/24","mac_address":"fa:16:3e:00:00:09"}]}`)
	f.Add(`{"network_id":"6f0c0000-0000-4000-8000-000000000001","allowed_address_pairs":[{"ip_address":"2001:db8::1"}],"extra_dhcp_opts":[{"opt_name":"domain-name","opt_value":"a.b"}]}`)
	f.Add(`{"network_id":"6f0c0000-0000-4000-8000-000000000001","fixed_ips":[{"ip_address":"10.0.0.5"}],"binding:profile":{"a":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in createBody
		if rest.DecodeValue([]byte(text), &in) != nil {
			return
		}
		p := &network.Port{Standard: network.Standard{ID: "p"}, MAC: "fa:16:3e:00:00:01", PortSecurity: true}
		if in.apply(p) != nil {
			return
		}
		if _, err := in.wants(); err != nil {
			return
		}
		p.PortSecurity = true
		for _, row := range ovn.RenderPort(ovn.PortView{Port: *p}) {
			security, _ := row.Columns["port_security"].(ovn.Set) // ports of users have it
			for _, v := range security {
				if !cleanAddress.MatchString(v) {
					t.Errorf("%q renders to %q", text, v)
				}
			}
		}
	})
}
