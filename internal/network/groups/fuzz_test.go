package groups

import (
	"regexp"
	"testing"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/rest"
)

var cleanMatch = regexp.MustCompile(`^[a-z0-9 .:/=&@_$<>-]+$`)

// FuzzRule: whatever is accepted renders to a condition of known words only,
// so that no text of a user reaches another port's rules.
func FuzzRule(f *testing.F) {
	f.Add(`{"security_group_id":"g","direction":"ingress","protocol":"tcp","port_range_min":22,"port_range_max":22,"remote_ip_prefix":"10.0.0.1/8"}`)
	f.Add(`{"security_group_id":"g","direction":"egress","ethertype":"IPv6","protocol":58,"port_range_min":128,"remote_ip_prefix":"2001:db8::1"}`)
	f.Add(`{"security_group_id":"g","direction":"ingress","protocol":"icmp","port_range_max":"7","remote_group_id":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in ruleBody
		if rest.DecodeValue([]byte(text), &in) != nil {
			return
		}
		in.RemoteGroup = rest.Opt[string]{} // an id that was looked up before it gets here
		r, err := in.rule()
		if err != nil {
			return
		}
		r.ID, r.GroupID = "r", "g"
		for _, row := range ovn.RenderGroup(network.SecurityGroup{Standard: network.Standard{ID: "g"}, Stateful: true}, []network.Rule{*r}) {
			if match, ok := row.Columns["match"].(string); ok && !cleanMatch.MatchString(match) {
				t.Errorf("%q renders to %q", text, match)
			}
		}
	})
}
