package servers

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/rest"
)

// TestWrittenMembers: what writes itself is what maps of the same would be.
func TestWrittenMembers(t *testing.T) {
	type m = map[string]any
	fixed := func(address string, version int) network.Address {
		return network.Address{Address: address, Version: version}
	}
	cards := []network.Interface{
		{NetworkName: "z \"net\"", MAC: "m1", Groups: []string{"a", "é<"}, Addresses: []network.Address{fixed("10.0.0.1", 4), {Address: "192.0.2.1", Version: 4, Floating: true}, fixed("fd00::1", 6)}},
		{NetworkName: "none", MAC: "m2", Groups: []string{}},
		{NetworkName: "a", MAC: "m3", Groups: []string{"a", "b"}, Addresses: []network.Address{fixed("10.1.0.1", 4)}},
		{NetworkName: "z \"net\"", MAC: "m4", Addresses: []network.Address{fixed("10.0.0.2", 4)}}}
	entry := func(address, mac, kind string, version float64) any {
		return m{"addr": address, "version": version, "OS-EXT-IPS-MAC:mac_addr": mac, "OS-EXT-IPS:type": kind}
	}
	for name, c := range map[string]struct{ value, want any }{
		"addresses": {wires(cards), m{"a": []any{entry("10.1.0.1", "m3", "fixed", 4)},
			"z \"net\"": []any{entry("10.0.0.1", "m1", "fixed", 4), entry("192.0.2.1", "m1", "floating", 4), entry("fd00::1", "m1", "fixed", 6), entry("10.0.0.2", "m4", "fixed", 4)}}},
		"no addresses": {wires(nil), m{}},
		"groups":       {guards(cards), []any{m{"name": "a"}, m{"name": "é<"}, m{"name": "b"}}},
		"no groups":    {guards(cards[1:2]), []any{}},
		"flavor":       {mark{"1", "http://h/\"1"}, m{"id": "1", "links": []any{m{"href": "http://h/\"1", "rel": "bookmark"}}}},
	} {
		b, err := rest.JSON(c.value)
		var got any
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s\n%s", name, err, b, d)
		}
		if again, err := rest.JSON(got); err != nil || string(again) != string(b) { // members in order
			t.Errorf("%s: %s, of maps %s (%v)", name, b, again, err)
		}
	}
	if guards(cards).none() || !guards(cards[1:2]).none() {
		t.Error("which have groups")
	}
}

// TestMembersAreNotMadeOfMaps: of a thousand servers that was half of the work.
func TestMembersAreNotMadeOfMaps(t *testing.T) {
	cards := []network.Interface{{NetworkName: "n", MAC: "m", Groups: []string{"default"}, Addresses: []network.Address{{Address: "10.0.0.1", Version: 4}}}}
	addresses, groups, flavor := rest.Appender(wires(cards)), rest.Appender(guards(cards)), rest.Appender(mark{"1", "http://h/1"})
	room := make([]byte, 0, 1<<10)
	n := testing.AllocsPerRun(100, func() {
		b := room
		for _, v := range []rest.Appender{addresses, groups, flavor} {
			b, _ = v.AppendJSON(b)
		}
	})
	if n > 1 {
		t.Errorf("%v allocations of a server's members", n)
	}
}
