package tokens

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/identity"
)

type epochKey struct {
	subject identity.Subject
	key     string
}

// epochs is the set of live revocations. Safe for concurrent use.
type epochs struct {
	latest atomic.Int64 // of all that were added, µs: what is issued from now on comes after them
	mu     sync.RWMutex
	before map[epochKey]epoch
}

type epoch struct{ before, until time.Time }

func newEpochs() *epochs { return &epochs{before: map[epochKey]epoch{}} }

// add raises epochs; a lower one than is known changes nothing.
func (e *epochs) add(list ...identity.Revocation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range list {
		e.latest.Store(max(e.latest.Load(), clock.Micros(r.Before)))
		k := epochKey{r.Subject, r.Key}
		if old := e.before[k]; r.Before.After(old.before) {
			e.before[k] = epoch{r.Before, r.Until}
		}
	}
}

// prune forgets what can no longer hit a token.
func (e *epochs) prune(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.before, func(_ epochKey, v epoch) bool { return v.until.Before(now) })
}

// revoked tells whether an epoch of any subject of the token has passed it.
// domains are those of its user and of its scope.
func (e *epochs) revoked(t identity.Token, domains ...string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.before) == 0 {
		return false
	}
	hit := func(s identity.Subject, key string) bool {
		if key == "" {
			return false
		}
		v, ok := e.before[epochKey{s, key}]
		return ok && t.IssuedAt.Before(v.before)
	}
	for _, d := range domains {
		if hit(identity.SubjectDomain, d) {
			return true
		}
	}
	return hit(identity.SubjectToken, t.AuditID()) || hit(identity.SubjectChain, t.ChainID()) ||
		hit(identity.SubjectUser, t.UserID) || hit(identity.SubjectProject, t.Scope.ProjectID) ||
		hit(identity.SubjectDomain, t.Scope.DomainID) || hit(identity.SubjectTrust, t.Scope.TrustID) ||
		t.Federation != nil && (hit(identity.SubjectIdentityProvider, t.Federation.ProviderID) ||
			hit(identity.SubjectProtocol, identity.ProtocolKey(t.Federation.ProviderID, t.Federation.ProtocolID))) ||
		hit(identity.SubjectAppCred, t.AppCredentialID) || hit(identity.SubjectOAuth, t.OAuthID)
}
