package hostile

import (
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

// dice are the choices of one request; the same seed and number give the same.
type dice struct {
	*rand.Rand
	w     *world.World
	ids   []string // of the world's things
	own   *own
	guest bool // asks as the guest
}

func pick[T any](d *dice, from ...T) T { return from[d.IntN(len(from))] }

// chance is true in n of a hundred cases.
func (d *dice) chance(n int) bool { return d.IntN(100) < n }

// nasty is a text that some layer may take for something else.
func (d *dice) nasty() string {
	switch d.IntN(12) {
	case 0:
		return strings.Repeat(pick(d, "a", "é", "𐍈", "%", "'", "[", "../"), pick(d, 1, 64, 255, 256, 257, 4096, 70000))
	case 1:
		return strconv.FormatInt(pick(d, int64(0), -1, 1<<31-1, 1<<31, 1<<53, 1<<62, -1<<63, 1<<63-1), 10)
	case 2:
		return pick(d, "99999999999999999999999999", "1e400", "-0", "0x10", "NaN", "Infinity", "1.5", "1e3", "٣")
	case 3:
		return string(rune(d.IntN(0x110000)))
	case 4:
		return pick(d, "\x00", "a\x00b", "\xff\xfe", "\xc3\x28", "\u202e", "\ufeff", "\r\nX-Roles: admin", "a\nb", "\t", "\x7f", "\u0085", "\ud7ff\ue000")
	case 5:
		return pick(d, "' OR '1'='1", "\"; --", "%' ESCAPE '", "a\\", "%s%n%d", "${x}", "{{x}}", "<b>", "`id`", "$(id)", "*", "%", "_", "?", "#")
	case 6:
		return pick(d, "..", ".", "../../x", "/", "//", "a/b", "%2e%2e", "%00", "file:///x", "http://127.0.0.1:1/", "ldap://x")
	case 7:
		return pick(d, "true", "false", "null", "None", "True", "[]", "{}", "", " ", "all", "latest", "default", "in:", "in:a,b", "neq:x", "gt:", "between:")
	case 8:
		return pick(d, "2026-01-01", "2026-13-45T99:99:99", "0000-00-00", "99999-01-01T00:00:00Z", "2026-01-01T00:00:00+99:99", "gt:2026-01-01")
	case 9:
		return pick(d, "10.0.0.0/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "fe80::%eth0", "256.1.1.1", "10.0.0.1-10.0.0.5", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "169.254.169.254")
	case 10:
		return "6f70656e-7374-4163-8b20-" + strconv.FormatUint(1<<44+d.Uint64N(1<<44), 16)[:12]
	}
	return d.id()
}

// id is the id of something there is.
func (d *dice) id() string {
	if d.guest && d.chance(70) {
		if id := d.own.any(d); id != "" {
			return id
		}
	}
	return d.ids[d.IntN(len(d.ids))]
}

// value is a value for a member of a type: one that fits in most cases.
func (d *dice) value(t reflect.Type, rules map[string]string, at microversion.Version, depth int) any {
	if d.chance(12) {
		return d.junk(0)
	}
	t = world.Inner(t)
	switch {
	case depth > 6 || t.Kind() == reflect.Interface || t == reflect.TypeFor[json.RawMessage]():
		return d.junk(depth)
	case t.Name() == "Bool":
		return pick[any](d, true, false, "true", "no", 1)
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.object(t, at, depth)
	case reflect.Slice, reflect.Array:
		out := []any{}
		for range pick(d, 0, 1, 1, 2, 3, 60) {
			out = append(out, d.value(t.Elem(), nil, at, depth+1))
			if depth > 2 && len(out) > 3 {
				break
			}
		}
		return out
	case reflect.Map:
		out := world.Object{}
		for range d.IntN(4) {
			out[pick(d, "a", "key", d.nasty())] = d.value(t.Elem(), nil, at, depth+1)
		}
		return out
	case reflect.Bool:
		return d.chance(50)
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return pick[any](d, 1, 2, 0, -1, 22, 4096, 1<<31, int64(1)<<62, json.Number("99999999999999999999"), json.Number("1.5"), json.Number("1e2"), "7")
	}
	return d.text(rules)
}

func (d *dice) object(t reflect.Type, at microversion.Version, depth int) world.Object {
	out, often := world.Object{}, pick(d, 10, 40, 80)
	for _, f := range world.Fields(t, pick(d, at, at, at, 0)) {
		_, required := f.Rules["required"]
		if required && !d.chance(4) || d.chance(often) {
			out[f.Name] = d.member(f, at, depth+1)
		}
	}
	if d.chance(4) {
		out[pick(d, "x", "id", "__proto__", "Name", d.nasty())] = d.junk(depth)
	}
	return out
}

// fitting says for members what they refer to: a thing of the world, and the
// collection in which the guest has such things.
var fitting = map[string][2]string{
	"flavorRef": {"public flavor", ""}, "imageRef": {"public image", ""}, "image_id": {"public image", ""}, "network_id": {"network", "neutron /v2.0/networks"},
	"subnet_id": {"subnet", "neutron /v2.0/subnets"}, "port_id": {"port", "neutron /v2.0/ports"}, "router_id": {"router", "neutron /v2.0/routers"},
	"security_group_id": {"security group", "neutron /v2.0/security-groups"}, "floating_network_id": {"outside network", ""}, "volume_id": {"volume", "cinder /v3/volumes"},
	"volumeId": {"volume", "cinder /v3/volumes"}, "snapshot_id": {"snapshot", "cinder /v3/snapshots"}, "backup_id": {"backup", "cinder /v3/backups"},
	"server_id": {"server", "nova /v2.1/servers"}, "instance_uuid": {"server", "nova /v2.1/servers"}, "group_type": {"group type", ""}, "volume_type": {"plain type", ""},
	"subnetpool_id": {"subnet pool", "neutron /v2.0/subnetpools"}, "address_scope_id": {"address scope", "neutron /v2.0/address-scopes"}, "qos_policy_id": {"qos", ""},
	"remote_group_id": {"security group", "neutron /v2.0/security-groups"}, "object_id": {"network", "neutron /v2.0/networks"}, "internal_port_id": {"port", "neutron /v2.0/ports"},
}

// member is the value of a named member: often one that the name asks for.
func (d *dice) member(f world.Field, at microversion.Version, depth int) any {
	if kind := world.Inner(f.Type).Kind(); d.chance(65) && (kind == reflect.String || kind == reflect.Interface) {
		if to, ok := fitting[f.Name]; ok {
			if list := d.own.list(to[1]); d.guest && len(list) > 0 {
				return list[d.IntN(len(list))]
			}
			return d.w.Things[to[0]]
		}
		if f.Name == "networks" {
			return pick[any](d, "none", "auto")
		}
	}
	return d.value(f.Type, f.Rules, at, depth)
}

// text is a text that the rules of its member allow, mostly.
func (d *dice) text(rules map[string]string) string {
	if choices, ok := rules["enum"]; ok && d.chance(85) {
		return pick(d, strings.Split(choices, "|")...)
	}
	switch d.IntN(4) {
	case 0:
		return d.nasty()
	case 1:
		return d.id()
	}
	return pick(d, "x", "name", "a b", "ingress", "IPv4", "tcp", "10.9.0.0/24", "10.9.0.5", "public", "active", "1", "available", "hw:cpu_policy", "CUSTOM_X", "json", "http://x/", "VCPU")
}

// junk is any JSON at all.
func (d *dice) junk(depth int) any {
	switch d.IntN(9) {
	case 0:
		return nil
	case 1:
		return d.chance(50)
	case 2:
		return pick[any](d, 0, -1, 1, 3.5, int64(1)<<62, json.Number("1e400"), json.Number("-99999999999999999999"), json.Number("0.1"))
	case 3, 4:
		return d.nasty()
	case 5:
		return d.id()
	case 6:
		out := []any{}
		for range d.IntN(4) {
			if depth < 5 {
				out = append(out, d.junk(depth+1))
			}
		}
		return out
	}
	out := world.Object{}
	for range d.IntN(4) {
		if depth < 5 {
			out[pick(d, "a", "id", "name", d.nasty())] = d.junk(depth + 1)
		}
	}
	return out
}

// broken is a body that is no JSON, or more of it than anyone needs.
func (d *dice) broken(good []byte) []byte {
	switch d.IntN(9) {
	case 0:
		return good[:d.IntN(len(good)+1)]
	case 1:
		return []byte(strings.Repeat("[", pick(d, 10, 100, 9999, 20000)))
	case 2:
		n := pick(d, 10, 40, 5000)
		return []byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n))
	case 3:
		return []byte(pick(d, "null", "[]", "1", `"x"`, "", " ", "{", "{}{}", "{,}", `{"a":1,}`, "true", "NaN", "\ufeff{}", `{"a":"\ud800"}`, "{\"a\":\"\x01\"}"))
	case 4:
		return append(good, good...)
	case 5: // a member twice
		if i := strings.IndexByte(string(good), '{'); i >= 0 {
			return []byte(string(good[:i+1]) + `"name":1,"name":"x",` + string(good[i+1:]))
		}
	case 6:
		b := append([]byte{}, good...)
		for range d.IntN(8) {
			if len(b) > 0 {
				b[d.IntN(len(b))] = byte(d.IntN(256))
			}
		}
		return b
	case 7:
		return []byte("a=b&c=" + url.QueryEscape(d.nasty()))
	}
	return []byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`)
}
