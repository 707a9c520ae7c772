package ovs_test

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// dishonest says what is wrong with a frame of the attacker's that was seen, by
// reading it anew: whose it says that it is. Empty: nothing.
func dishonest(f []byte) string {
	if len(f) < 14 || !bytes.Equal(f[6:12], mac(macA)) {
		return "another MAC"
	}
	rest := f[14:]
	own := func(b []byte, of ...string) bool {
		for _, a := range of {
			if bytes.Equal(b, ip(a)) {
				return true
			}
		}
		return false
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x0806:
		if len(rest) < 28 || !bytes.Equal(rest[8:14], mac(macA)) || !own(rest[14:18], ipA) {
			return "ARP of another"
		}
	case 0x0800:
		at := int(rest[0]&15) * 4
		if len(rest) >= at+4 && own(rest[12:16], "0.0.0.0") && own(rest[16:20], every4) && bytes.Equal(rest[at:at+4], []byte{0, 68, 0, 67}) {
			return "" // asks for an address, in words that OVN does not understand
		}
		if len(rest) < 20 || !own(rest[12:16], ipA) {
			return "another IPv4 address"
		}
		if later := binary.BigEndian.Uint16(rest[6:])&0x1fff != 0; !later && rest[9] == 17 && len(rest) >= at+4 && rest[at+1] == 67 && rest[at] == 0 && rest[at+3] == 68 && rest[at+2] == 0 {
			return "an answer of DHCP"
		}
	case 0x86dd:
		return dishonest6(rest, own)
	default:
		return "neither IP nor ARP"
	}
	return ""
}

// routed tells whether the router made a frame of an honest one, which went to it
// or to many: it is the router's, one hop on, and says the same.
func routed(sent, seen []byte) bool {
	if len(sent) < 34 || len(seen) < 34 || dishonest(sent) != "" || !bytes.Equal(seen[6:12], mac(macR)) || !bytes.Equal(seen[12:14], sent[12:14]) {
		return false
	}
	hops, rest := 22, 26 // of IPv4, whose sum changes too
	if binary.BigEndian.Uint16(seen[12:]) == 0x86dd {
		hops, rest = 21, 22
	}
	return seen[hops] == sent[hops]-1 && bytes.HasPrefix(sent[rest:], seen[rest:])
}

func dishonest6(p []byte, own func([]byte, ...string) bool) string {
	if len(p) < 40 || !own(p[8:24], ip6A, llA, "::") {
		return "another IPv6 address"
	}
	next, hops, p := p[6], p[7], p[40:]
	for len(p) >= 8 {
		switch next {
		case 0, 43, 60:
			n := int(p[1])*8 + 8
			next, p = p[0], p[min(n, len(p)):]
			continue
		case 44:
			if binary.BigEndian.Uint16(p[2:])>>3 != 0 {
				return "" // a later fragment says nothing of whose it is
			}
			next, p = p[0], p[8:]
			continue
		case 58:
			switch {
			case hops != 255 || p[1] != 0:
				return "" // discovery that nobody takes for it
			case p[0] == 134 || p[0] == 137:
				return "a router's message"
			case p[0] == 136 && len(p) >= 24 && !own(p[8:24], ip6A, llA):
				return "another's advertisement"
			}
		}
		return ""
	}
	return ""
}

// southbound reads the rows of a table of OVN's southbound database.
func (a *arena) southbound(table string) []ovsdb.Row {
	a.t.Helper()
	schema, err := model.NewClientDBModel("OVN_Southbound", map[string]model.Model{})
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := client.NewOVSDBClient(schema, client.WithEndpoint(a.cfg.Southbound))
	if err == nil {
		err = c.Connect(context.Background())
	}
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Transact(context.Background(), ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Where: []ovsdb.Condition{}})
	if err != nil || len(out) != 1 || out[0].Error != "" {
		a.t.Fatalf("read %s: %v %v", table, out, err)
	}
	return out[0].Rows
}
