package tokens

import (
	"context"
	"encoding/base64"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
)

// Sealer encrypts with a key of the installation; name binds a sealed value to
// where it belongs. Implementations are safe for concurrent use.
type Sealer interface {
	Seal(name string, secret []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

// Resolver tells what a token is worth now: Unauthenticated when nothing.
type Resolver interface {
	Resolve(ctx context.Context, t identity.Token) (*identity.Access, error)
}

// Journal writes audit records in the transaction of the change they tell of.
type Journal interface {
	Append(ctx context.Context, tx *db.Tx, r event.Record) error
}

// Config is what a Service needs.
type Config struct {
	DB       *db.DB
	Clock    clock.Clock
	Sealer   Sealer
	Journal  Journal
	Lifetime time.Duration // of a token; 0: one hour
	KeyLife  time.Duration // between rotations; 0: one day
	// Shared: other servers write to the database. Times of tokens and
	// revocations are then the database's, and no token is taken on word that is
	// older than Fresh.
	Shared bool
}

// Topic is under which servers tell each other of identity's generation, by db.Tx.Notify.
const Topic = "identity"

// Fresh is how old what a server knows of revocations may be.
const Fresh = 600 * time.Millisecond

// Service makes, reads and revokes tokens. Safe for concurrent use.
type Service struct {
	db       *db.DB
	clock    clock.Clock
	sealer   Sealer
	journal  Journal
	lifetime time.Duration
	keyLife  time.Duration
	store    store

	sealed     sealer
	known      *otter.Cache[digest, known]
	epochs     *epochs
	generation atomic.Int64
	last       atomic.Int64 // latest stamp given, µs

	polling sync.Mutex // one reload at a time
	shared  *common    // nil: no other server
}

// Open loads keys and revocations; on an empty database it makes the keys.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	s := &Service{db: cfg.DB, clock: cfg.Clock, sealer: cfg.Sealer, journal: cfg.Journal, lifetime: cfg.Lifetime,
		keyLife: cfg.KeyLife, store: newStore(), epochs: newEpochs(),
		known: otter.Must(&otter.Options[digest, known]{MaximumSize: knownTokens})}
	if s.lifetime == 0 {
		s.lifetime = time.Hour
	}
	if s.keyLife == 0 {
		s.keyLife = 24 * time.Hour
	}
	if cfg.Shared {
		s.shared = &common{clock: cfg.Clock}
		if err := s.Poll(ctx); err != nil { // the time, before anything is stamped
			return nil, err
		}
	}
	if err := s.Maintain(ctx); err != nil {
		return nil, err
	}
	return s, s.reload(ctx)
}

// Generation counts changes of identity rows as far as this server has seen
// them. What was computed from rows at one generation is void at the next.
func (s *Service) Generation() int64 { return s.generation.Load() }

// Lifetime is how long a new token lives.
func (s *Service) Lifetime() time.Duration { return s.lifetime }

// Stamp is the time, never the same twice in this process: what is issued
// before a revocation is always earlier than it, and what comes after is later.
func (s *Service) Stamp() time.Time {
	for {
		old := s.last.Load()
		now, _ := s.bounds()
		now = max(now, s.epochs.latest.Load(), old+1)
		if s.last.CompareAndSwap(old, now) {
			return clock.FromMicros(now)
		}
	}
}

// Changed implements identity.Changes. It is called in every transaction that
// changes identity rows.
func (s *Service) Changed(ctx context.Context, tx *db.Tx, what event.Record, ended ...identity.Revocation) error {
	if what.Service == "" {
		what.Service = identity.ServiceType
	}
	if err := s.journal.Append(ctx, tx, what); err != nil {
		return err
	}
	return s.changed(ctx, tx, ended)
}

func (s *Service) changed(ctx context.Context, tx *db.Tx, ended []identity.Revocation) error {
	n, mark, err := s.store.advance(ctx, tx, s.mark())
	if err != nil {
		return err
	}
	now := clock.FromMicros(mark)
	list := make([]identity.Revocation, len(ended))
	for i, r := range ended {
		if r.Before.IsZero() {
			r.Before = now
		}
		r.Until = now.Add(2 * s.lifetime)
		list[i] = r
	}
	if err := s.store.revoke(ctx, tx, list); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		s.epochs.add(list...)
		s.saw(n)
	})
	return nil
}

// saw raises the known generation; commits may be told out of order.
func (s *Service) saw(n int64) {
	for {
		old := s.generation.Load()
		if n <= old || s.generation.CompareAndSwap(old, n) {
			return
		}
	}
}

// bounds is how late it is at least and at most, in microseconds, by the clock
// that all servers share.
func (s *Service) bounds() (low, high int64) {
	if s.shared != nil {
		return s.shared.now()
	}
	now := clock.Micros(s.clock.Now())
	return now, now
}

// mark is the time of a revocation: later than everything that was issued.
func (s *Service) mark() int64 {
	given := clock.Micros(s.Stamp())
	_, now := s.bounds()
	return max(now, given)
}

// Poll learns what other servers changed. It is one query of one row unless
// something did; call it every few hundred milliseconds where there are other servers.
func (s *Service) Poll(ctx context.Context) error {
	if s.shared == nil {
		n, err := s.store.generation(ctx, s.db)
		if err != nil || n == s.generation.Load() {
			return err
		}
		return s.reload(ctx)
	}
	asked := clock.Elapsed(s.clock)
	n, now, err := s.store.generationAndTime(ctx, s.db)
	got := clock.Elapsed(s.clock)
	if err != nil {
		return err
	}
	if n != s.generation.Load() {
		if err := s.reload(ctx); err != nil {
			return err
		}
	}
	s.shared.learn(now, asked, got)
	return nil
}

// Refresh is Poll where there can be other servers, and nothing where there are none.
func (s *Service) Refresh(ctx context.Context) error {
	if s.shared == nil {
		return nil
	}
	return s.Poll(ctx)
}

// Ensure makes certain that what this server knows of revocations is not older
// than Fresh. It asks the database only when polling has fallen behind;
// Unavailable when that does not answer.
func (s *Service) Ensure(ctx context.Context) error {
	if s.shared == nil || s.shared.fresh() {
		return nil
	}
	s.shared.asking.Lock()
	defer s.shared.asking.Unlock()
	if s.shared.fresh() {
		return nil
	}
	return s.Poll(ctx)
}

func (s *Service) reload(ctx context.Context) error {
	s.polling.Lock()
	defer s.polling.Unlock()
	n, err := s.store.generation(ctx, s.db) // before the rows: they may be newer, never older
	if err != nil {
		return err
	}
	keys, err := s.store.loadKeys(ctx, s.db, s.sealer)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	live, err := s.store.live(ctx, s.db, now)
	if err != nil {
		return err
	}
	s.sealed.use(keys)
	s.epochs.add(live...)
	s.epochs.prune(now)
	s.saw(n)
	return nil
}

// Maintain makes the first keys, rotates them when their time has come and
// removes revocations that can hit nothing any more. Call it now and then.
func (s *Service) Maintain(ctx context.Context) error {
	keys, err := s.store.loadKeys(ctx, s.db, s.sealer)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	if s.due(keys, now) {
		return s.rotate(ctx, s.due)
	}
	return s.db.Write(ctx, func(tx *db.Tx) error { return s.store.prune(ctx, tx, now) })
}

// due tells whether a ring is to be turned.
func (s *Service) due(keys []Key, now time.Time) bool {
	due := len(keys) == 0
	for _, k := range keys {
		due = due || k.State == Staged && now.Sub(k.CreatedAt) >= s.keyLife
	}
	return due
}

// Rotate turns the key ring once, whatever the age of the keys. The staged key
// was published a turn ago, so every server can read what it seals.
func (s *Service) Rotate(ctx context.Context) error {
	return s.rotate(ctx, func([]Key, time.Time) bool { return true })
}

// rotate turns the ring if it is still due once no other server can turn it.
func (s *Service) rotate(ctx context.Context, due func([]Key, time.Time) bool) error {
	now := s.clock.Now()
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if _, _, err := s.store.advance(ctx, tx, s.mark()); err != nil { // first: its lock keeps two servers from rotating at once
			return err
		}
		keys, err := s.store.loadKeys(ctx, tx, s.sealer)
		if err != nil {
			return err
		}
		if !due(keys, now) {
			return nil
		}
		kept, dropped := Rotate(keys, now, 2*s.lifetime)
		return s.store.saveKeys(ctx, tx, s.sealer, kept, dropped)
	})
	if err != nil {
		return err
	}
	return s.reload(ctx)
}

// Issue seals a token. It sets the times and the token's own audit id; an
// ExpiresAt that is set and earlier stays, so that a derived token never lives
// longer than its parent. chain is the parent's chain id, empty at a login. An
// IssuedAt that is set (by Stamp, when the login began) stays too.
func (s *Service) Issue(t identity.Token, chain string) (string, identity.Token, error) {
	now := t.IssuedAt
	if now.IsZero() {
		now = s.Stamp()
	}
	end := now.Add(s.lifetime).Truncate(time.Second)
	if t.ExpiresAt.IsZero() || t.ExpiresAt.After(end) {
		t.ExpiresAt = end
	}
	t.ExpiresAt = t.ExpiresAt.Truncate(time.Second)
	t.IssuedAt = now
	if !t.ExpiresAt.After(now) {
		return "", t, fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(errExpired)
	}
	t.AuditIDs = []string{base64.RawURLEncoding.EncodeToString(id.Bytes(16))}
	if chain != "" {
		t.AuditIDs = append(t.AuditIDs, chain)
	}
	token, ok := s.sealed.seal(encodePayload(t), now)
	if !ok {
		return "", t, fault.Unavailablef("There is no key to make tokens with.")
	}
	return token, t, nil
}
