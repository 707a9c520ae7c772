package admission

import (
	"net"
	"net/netip"
	"time"
)

// Rate is how much per second, and how much at once. PerSecond 0: no limit.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// bucket is a token bucket that may be in debt; the zero value is full.
type bucket struct {
	owed float64 // taken and not forgiven yet
	at   time.Time
}

// take takes n and tells how long to wait before it is one's turn. Debt beyond
// what a minute forgives is not remembered.
func (b *bucket) take(r Rate, n float64, now time.Time) time.Duration {
	if r.PerSecond <= 0 {
		return 0
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.owed, b.at = max(0, b.owed-passed*r.PerSecond), now
	}
	b.owed = min(max(0, b.owed+n), r.Burst+60*r.PerSecond)
	if b.owed <= r.Burst {
		return 0
	}
	return time.Duration((b.owed - r.Burst) / r.PerSecond * float64(time.Second))
}

// host is whom an address stands for: an IPv6 client has a network of 64 bits
// to choose addresses from.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		h = address // no port: tests and pipes
	}
	ip, err := netip.ParseAddr(h)
	if err != nil || ip.Unmap().Is4() {
		return h
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return h
	}
	return p.String()
}
