package tokens

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

var (
	errExpired = errors.New("the token has expired")
	errForged  = errors.New("not a token of this cloud")
	errRevoked = errors.New("the token was revoked")
)

// Read opens a token and checks its end and the epochs that need no row.
// grace is how long after its end it is still taken. Unauthenticated when dead.
func (s *Service) Read(token string, grace time.Duration) (identity.Token, error) {
	return s.readAs(sha256.Sum256([]byte(token)), token, grace)
}

// readAs is Read of a token whose digest is at hand.
func (s *Service) readAs(sum digest, token string, grace time.Duration) (identity.Token, error) {
	t, err := s.opened(sum, token)
	if err != nil {
		return identity.Token{}, dead(err)
	}
	if !s.clock.Now().Before(t.ExpiresAt.Add(grace)) {
		return identity.Token{}, dead(errExpired)
	}
	if s.epochs.revoked(t) {
		return identity.Token{}, dead(errRevoked)
	}
	return t, nil
}

// digest is the SHA-256 of a token.
type digest = [sha256.Size]byte

// known is a token that was opened before, by which keys.
type known struct {
	ring *keyring
	of   identity.Token
}

// knownTokens bounds how many opened tokens are remembered: some 600 bytes each.
const knownTokens = 4096

// opened gives what a token says. Most come many times: their seal is looked at
// once under the same keys, whatever else about them is looked at each time.
func (s *Service) opened(sum digest, token string) (identity.Token, error) {
	ring := s.sealed.ring.Load()
	if k, ok := s.known.GetIfPresent(sum); ok && k.ring == ring {
		return k.of, nil
	}
	msg, ok := s.sealed.open(token)
	if !ok {
		return identity.Token{}, errForged
	}
	t, err := decodePayload(msg)
	if err != nil {
		return identity.Token{}, err
	}
	t.Methods, t.AuditIDs = slices.Clip(t.Methods), slices.Clip(t.AuditIDs) // whoever appends gets a copy
	s.known.Set(sum, known{ring, t})
	return t, nil
}

// Alive checks the epochs again, now that the domains of a token are known.
func (s *Service) Alive(t identity.Token, a *identity.Access) error {
	if s.epochs.revoked(t, a.UserDomain.ID, a.ProjectDomain.ID, a.Domain.ID) {
		return dead(errRevoked)
	}
	if a.Trust != nil && s.epochs.revoked(identity.Token{UserID: a.Trust.TrustorID, IssuedAt: t.IssuedAt}) {
		return dead(errRevoked)
	}
	if !a.ExpiresBy.IsZero() && !s.clock.Now().Before(a.ExpiresBy) {
		return dead(errExpired)
	}
	return nil
}

// Revoke ends one token, at once in this server and within a poll in others.
func (s *Service) Revoke(ctx context.Context, t identity.Token) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		return s.Changed(ctx, tx, identity.Change("revoke", "token", t.AuditID()), identity.Revocation{Subject: identity.SubjectToken, Key: t.AuditID(), Before: t.IssuedAt.Add(time.Microsecond)})
	})
}

// Revocations lists the epochs that can still end a token, as rows have them.
func (s *Service) Revocations(ctx context.Context) ([]identity.Revocation, error) {
	return s.store.live(ctx, s.db, s.clock.Now())
}

// dead is the one answer for every token that is not good.
func dead(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}
