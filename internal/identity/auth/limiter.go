package auth

import (
	"net"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

// How many failed logins are taken in a row, and how fast they are forgiven.
// An address may be a proxy or a whole company: it has more.
const (
	accountBurst, accountRefill = 20, 1
	addressBurst, addressRefill = 300, 20
	remembered                  = 20000 // accounts and addresses
)

// limiter slows guessing down. It counts failures only, in memory, so that an
// honest client is never slowed and nothing is stored for strangers.
type limiter struct {
	clock   clock.Clock
	buckets *otter.Cache[string, *rate.Limiter]
}

func newLimiter(c clock.Clock) *limiter {
	return &limiter{c, otter.Must(&otter.Options[string, *rate.Limiter]{MaximumSize: remembered})}
}

// attempt is one login by an account name from an address. Logins that name no
// account (a token) are counted by address only: guessing one is hopeless, and
// a dashboard makes many from one address.
type attempt struct{ account, address *rate.Limiter }

// begin refuses when too many logins failed; the answer does not depend on
// whether the account exists.
func (l *limiter) begin(account, remote string) (attempt, error) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote // no port: tests and pipes
	}
	a := attempt{address: l.bucket("a\x00"+host, addressRefill, addressBurst)}
	if a.account = a.address; account != "" {
		a.account = l.bucket("u\x00"+account+"\x00"+host, accountRefill, accountBurst)
	}
	now := l.clock.Now()
	if a.account.TokensAt(now) < 1 || a.address.TokensAt(now) < 1 {
		return a, fault.New(fault.RateLimited, "Too many failed logins. Try again later.")
	}
	return a, nil
}

func (l *limiter) bucket(key string, refill rate.Limit, burst int) *rate.Limiter {
	if b, ok := l.buckets.GetIfPresent(key); ok {
		return b
	}
	b, _ := l.buckets.SetIfAbsent(key, rate.NewLimiter(refill, burst))
	return b
}

func (l *limiter) failed(a attempt) {
	now := l.clock.Now()
	a.address.AllowN(now, 1)
	if a.account != a.address {
		a.account.AllowN(now, 1)
	}
}
