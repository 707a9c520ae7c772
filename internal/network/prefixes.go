package network

import (
	"cmp"
	"net/netip"
	"slices"
)

// CompactPrefixes is the shortest list of ranges that covers the same
// addresses, in order.
func CompactPrefixes(in []netip.Prefix) []netip.Prefix {
	sorted := make([]netip.Prefix, len(in))
	for i, p := range in {
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, comparePrefixes)
	var out []netip.Prefix
	for _, p := range sorted {
		if n := len(out); n > 0 && out[n-1].Contains(p.Addr()) {
			continue // the list is sorted, so whatever overlaps lies inside
		}
		out = append(out, p)
		for n := len(out); n > 1; n = len(out) {
			whole := netip.PrefixFrom(out[n-1].Addr(), out[n-1].Bits()-1).Masked()
			if out[n-1].Bits() == 0 || out[n-2].Bits() != out[n-1].Bits() || out[n-2].Addr() != whole.Addr() {
				break
			}
			out = append(out[:n-2], whole)
		}
	}
	return out
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// SubtractPrefixes is what is left of some ranges without others.
func SubtractPrefixes(from, without []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range from {
		out = append(out, subtract(p.Masked(), without)...)
	}
	return CompactPrefixes(out)
}

func subtract(p netip.Prefix, without []netip.Prefix) []netip.Prefix {
	var cut []netip.Prefix
	for _, w := range without {
		switch {
		case !w.Overlaps(p):
		case w.Bits() <= p.Bits():
			return nil
		default:
			cut = append(cut, w)
		}
	}
	if len(cut) == 0 {
		return []netip.Prefix{p}
	}
	low, high := halves(p)
	return append(subtract(low, cut), subtract(high, cut)...)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	low = netip.PrefixFrom(p.Addr(), p.Bits()+1)
	return low, netip.PrefixFrom(LastAddress(low).Next(), p.Bits()+1)
}

// CoversPrefix tells whether all addresses of a range are in some others.
func CoversPrefix(all []netip.Prefix, p netip.Prefix) bool {
	return len(SubtractPrefixes([]netip.Prefix{p}, all)) == 0
}

// FirstFree is the first range of a length in what is free, taken from the
// smallest range that has room, so that large ones stay whole.
func FirstFree(free []netip.Prefix, bits int) (netip.Prefix, bool) {
	sorted := slices.Clone(free)
	slices.SortStableFunc(sorted, func(a, b netip.Prefix) int { return cmp.Compare(b.Bits(), a.Bits()) })
	for _, p := range sorted {
		if p.Bits() <= bits {
			return netip.PrefixFrom(p.Addr(), bits), true
		}
	}
	return netip.Prefix{}, false
}
