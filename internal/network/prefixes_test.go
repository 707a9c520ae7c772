package network

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func prefixes(text string) []netip.Prefix {
	var out []netip.Prefix
	for w := range strings.FieldsSeq(text) {
		out = append(out, netip.MustParsePrefix(w))
	}
	return out
}

func TestPrefixes(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/25 10.0.0.128/25":                       "10.0.0.0/24",
		"10.0.1.0/24 10.0.0.0/24 10.0.2.0/24 10.0.0.7/32": "10.0.0.0/23 10.0.2.0/24",
		"0.0.0.0/1 128.0.0.0/1":                           "0.0.0.0/0",
		"2001:db8:1::/48 2001:db8::/48 2001:db8:0:5::/64": "2001:db8::/47",
	} {
		if got := CompactPrefixes(prefixes(in)); !slices.Equal(got, prefixes(want)) {
			t.Errorf("%s compacts to %v", in, got)
		}
	}
	left := SubtractPrefixes(prefixes("10.0.0.0/24"), prefixes("10.0.0.0/26 10.0.0.255/32"))
	if !slices.Equal(left, prefixes("10.0.0.64/26 10.0.0.128/26 10.0.0.192/27 10.0.0.224/28 10.0.0.240/29 10.0.0.248/30 10.0.0.252/31 10.0.0.254/32")) {
		t.Errorf("left: %v", left)
	}
	if p, ok := FirstFree(left, 28); !ok || p != netip.MustParsePrefix("10.0.0.224/28") {
		t.Errorf("a /28 comes from %v", p)
	}
	if _, ok := FirstFree(left, 25); ok {
		t.Error("there is no /25")
	}
}

// TestCut cuts ranges off a pool until nothing is left: none overlaps another,
// all lie in the pool, and exactly as many fit as should.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := SubnetPool{Prefixes: prefixes("10.0.0.0/26"), DefaultBits: -1, MinBits: 26, MaxBits: -1}
		if err := pool.Normalize(); err != nil {
			t.Fatal(err)
		}
		var taken []netip.Prefix
		room := 64
		for _, bits := range rapid.SliceOfN(rapid.IntRange(26, 32), 1, 40).Draw(t, "bits") {
			got, err := pool.Cut(taken, netip.Prefix{}, bits)
			if err != nil {
				continue
			}
			for _, other := range taken {
				if other.Overlaps(got) {
					t.Fatalf("%v overlaps %v", got, other)
				}
			}
			if got.Bits() != bits || !CoversPrefix(pool.Prefixes, got) {
				t.Fatalf("asked for /%d, got %v", bits, got)
			}
			taken = append(taken, got)
			room -= 1 << (32 - bits)
		}
		if _, err := pool.Cut(taken, netip.Prefix{}, 32); (err == nil) != (room > 0) {
			t.Fatalf("%d addresses are left: %v", room, err)
		}
	})
}
