package ovn

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// A column of a Row holds a string, an int, a bool or one of these. The order
// in a Set or in Refs means nothing.
type (
	// Set is a set of strings, or an optional string.
	Set []string
	// Map is a map of strings.
	Map map[string]string
	// Refs are rows of other tables, by key.
	Refs []string
	// Nums is a map of numbers.
	Nums map[string]int
	// OptInt is an optional number; 0 means none.
	OptInt int
)

// Edge says that a row is in a set of references of another row.
type Edge struct {
	Parent string // key
	Column string
}

// Row is one row of the northbound database as it should be. Columns that the
// table knows and the row does not name are empty.
type Row struct {
	Table   string
	Key     string // unique in the cloud, for example "port/ID/lsp"
	Scope   string // "port/ID"
	Columns map[string]any
	In      []Edge
}

// The keys in external_ids by which rows are recognised as ours.
const (
	idKey   = "mek:key"
	idScope = "mek:scope"
)

// UUID is the UUID of the row with this key, in any database of any cloud.
func UUID(key string) string {
	h := sha256.Sum256([]byte("mek northbound " + key))
	h[6] = h[6]&0x0f | 0x80 // version 8: made by a rule of our own
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

type kind uint8

const (
	text kind = iota
	number
	set      // of strings, or optional string
	optBool  // optional boolean, written as a plain one
	optInt   // OptInt
	mapping  // string to string
	numbers  // string to number
	refs     // written by the row itself
	children // read only: what the rows in it say in In
)

// owned lists the columns we write, per table, and of which kind they are.
// Columns that are not here belong to northd or nobody.
var owned = map[string]map[string]kind{
	"Logical_Switch":              {"name": text, "other_config": mapping, "external_ids": mapping, "ports": children, "acls": children, "qos_rules": children, "dns_records": children},
	"Logical_Switch_Port":         {"name": text, "type": text, "options": mapping, "addresses": set, "port_security": set, "enabled": optBool, "parent_name": set, "tag": optInt, "dhcpv4_options": refs, "dhcpv6_options": refs, "external_ids": mapping},
	"Logical_Router":              {"name": text, "enabled": optBool, "options": mapping, "external_ids": mapping, "ports": children, "static_routes": children, "nat": children, "policies": children, "load_balancer": children},
	"Logical_Router_Port":         {"name": text, "mac": text, "networks": set, "options": mapping, "ipv6_ra_configs": mapping, "enabled": optBool, "external_ids": mapping, "gateway_chassis": children},
	"Gateway_Chassis":             {"name": text, "chassis_name": text, "priority": number, "external_ids": mapping},
	"Logical_Router_Static_Route": {"ip_prefix": text, "nexthop": text, "policy": set, "output_port": set, "route_table": text, "external_ids": mapping},
	"NAT":                         {"type": text, "external_ip": text, "logical_ip": text, "external_mac": set, "logical_port": set, "options": mapping, "external_ids": mapping},
	"Port_Group":                  {"name": text, "external_ids": mapping, "ports": children, "acls": children},
	"ACL":                         {"direction": text, "priority": number, "match": text, "action": text, "external_ids": mapping},
	"Address_Set":                 {"name": text, "addresses": set, "external_ids": mapping},
	"QoS":                         {"priority": number, "direction": text, "match": text, "action": numbers, "bandwidth": numbers, "external_ids": mapping},
	"Load_Balancer":               {"name": text, "vips": mapping, "protocol": set, "options": mapping, "external_ids": mapping},
	"DNS":                         {"records": mapping, "external_ids": mapping},
	"Logical_Router_Policy":       {"priority": number, "match": text, "action": text, "external_ids": mapping},
	"DHCP_Options":                {"cidr": text, "options": mapping, "external_ids": mapping},
}

// holders says which rows each set of children may hold.
var holders = map[string][]string{
	"ports": {"Logical_Switch_Port", "Logical_Router_Port"}, "acls": {"ACL"}, "static_routes": {"Logical_Router_Static_Route"}, "nat": {"NAT"},
	"policies": {"Logical_Router_Policy"}, "qos_rules": {"QoS"}, "load_balancer": {"Load_Balancer"}, "dns_records": {"DNS"}, "gateway_chassis": {"Gateway_Chassis"},
}

// standing are tables whose rows stay when nothing refers to them.
var standing = []string{"Load_Balancer", "DNS"}

// complete fills in what a rendered row leaves out: empty columns and our marks.
func complete(r Row) Row {
	cols := maps.Clone(r.Columns)
	for name, k := range owned[r.Table] {
		if _, ok := cols[name]; ok || k == children {
			continue
		}
		cols[name] = emptyOf(k)
	}
	ids := Map{idKey: r.Key, idScope: r.Scope}
	if given, ok := cols["external_ids"].(Map); ok {
		maps.Copy(ids, given)
		ids[idKey], ids[idScope] = r.Key, r.Scope
	}
	cols["external_ids"] = ids
	r.Columns = cols
	return r
}

func emptyOf(k kind) any {
	switch k {
	case number:
		return 0
	case optBool:
		return true // "enabled" is the only one, and absent means yes
	case optInt:
		return OptInt(0)
	case set:
		return Set{}
	case mapping:
		return Map{}
	case numbers:
		return Nums{}
	case refs, children:
		return Refs{}
	default:
		return ""
	}
}

func sameValue(a, b any) bool {
	switch x := a.(type) {
	case Set:
		y, ok := b.(Set)
		return ok && sameElements(x, y)
	case Refs:
		y, ok := b.(Refs)
		return ok && sameElements(x, y)
	case Map:
		y, ok := b.(Map)
		return ok && maps.Equal(x, y)
	case Nums:
		y, ok := b.(Nums)
		return ok && maps.Equal(x, y)
	default:
		return a == b
	}
}

func sameElements(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(x, y)
}
