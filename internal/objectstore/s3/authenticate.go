package s3

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/objectstore/s3/signature"
)

// signed is a verified signature. The secret stays for the chunks of the body.
type signed struct {
	*signature.Claim
	secret string
}

func (c *call) signatureOptions() signature.Options {
	o := signature.Options{Now: c.now, Regions: []string{Location, c.s.Region}}
	if c.hosted {
		o.Bucket = c.bucket
	}
	return o
}

// authenticate finds out who asks. A request without a signature is anonymous.
func (c *call) authenticate() error {
	if c.Header.Get("X-Amz-Security-Token") != "" || c.query.has("X-Amz-Security-Token") || c.query.has("x-amz-security-token") {
		return failure.New(failure.InvalidToken) // no key of ours comes with one
	}
	claim, err := signature.Parse(c.Request, c.signatureOptions())
	if err != nil || claim == nil {
		return err
	}
	if err := c.verify(claim); err != nil {
		return err
	}
	if !claim.Presigned && changes(c.Method) && !c.s.replays.first(claim.Digest(), c.now) {
		return failure.Newf(failure.AccessDenied, "The request has been used before")
	}
	return nil
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// verify looks the key up and checks the signature. A key that is unknown,
// disabled or of somebody who is, and a wrong signature are one answer.
func (c *call) verify(claim *signature.Claim) error {
	key, err := c.s.Keys.Lookup(c.Context(), claim.Access)
	if err != nil && !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil {
		key = identity.AccessKey{Secret: "no such key"}
	}
	if !claim.Verify(key.Secret) || err != nil {
		return claim.Mismatch()
	}
	if p := key.Credentials.Permits; p != nil && !p("s3", c.Method, c.URL.Path) {
		return failure.New(failure.AccessDenied)
	}
	c.claim, c.auth = &signed{claim, key.Secret}, key.Credentials
	c.account = c.s.Access.Prefix + c.auth.ProjectID
	return nil
}

// replays bounds how long a captured request that changes something can be sent
// again: it is accepted for as long as clients try again by themselves, not for
// all the time that clocks may differ.
//
// Signatures are kept by the time they first came, in generations that are
// thrown away whole. When a generation is full, the difference of clocks alone
// bounds the rest: memory is bounded before all.
type replays struct {
	mu          sync.Mutex
	began       time.Time
	generations [replayGenerations]map[[8]byte]time.Time
}

const (
	replayBound       = 5 * time.Minute
	replayGenerations = 8 // of 5 minutes: a request is as old as the clocks may differ, ahead and behind
	replayMost        = 50000
)

// first tells whether a request may run: it is new, or came first a short while ago.
func (r *replays) first(digest [sha256.Size]byte, now time.Time) bool {
	key := [8]byte(digest[:8])
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.began) > replayGenerations*replayBound {
		r.generations, r.began = [replayGenerations]map[[8]byte]time.Time{}, now
	}
	for now.Sub(r.began) >= replayBound {
		copy(r.generations[1:], r.generations[:])
		r.generations[0] = nil
		r.began = r.began.Add(replayBound)
	}
	for _, g := range r.generations {
		if at, ok := g[key]; ok {
			return now.Sub(at) < replayBound
		}
	}
	if r.generations[0] == nil {
		r.generations[0] = map[[8]byte]time.Time{}
	}
	if len(r.generations[0]) < replayMost {
		r.generations[0][key] = now
	}
	return true
}
