package answers

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// Keep is how long a key means something.
const Keep = 24 * time.Hour

// maxBody bounds what is kept of an answer.
const maxBody = 64 << 10

// Sealer encrypts answers, which may hold passwords and keys.
type Sealer interface {
	Seal(name string, secret []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

// Answer is what a request came to.
type Answer struct {
	Request, Object string
	Status          int
	Header          map[string][]string
	Body            []byte
}

// Store keeps answers. Safe for concurrent use.
type Store struct {
	db     *db.DB
	clock  clock.Clock
	sealer Sealer
}

// New makes a store.
func New(d *db.DB, c clock.Clock, s Sealer) *Store { return &Store{d, c, s} }

// Claim takes the key of the actor of ctx for the change of tx; nothing when it
// has none. Conflict when another request did.
func Claim(ctx context.Context, tx *db.Tx, object string, at time.Time) error {
	a := event.ActorOf(ctx)
	if a.ClientKey == "" {
		return nil
	}
	var by string
	err := tx.QueryRowContext(ctx, `INSERT INTO toolkit_answers (key, request_id, request, object, status, sealed, created_at) VALUES ($1, $2, $3, $4, 0, '', $5)
		ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING request_id`, a.ClientKey, a.RequestID, a.Request, object, clock.Micros(at)).Scan(&by)
	if err != nil {
		return db.Translate(err, "claim client's key")
	}
	if by != a.RequestID {
		return fault.Conflictf("The request was carried out a moment ago.")
	}
	return nil
}

// sealed is what is kept encrypted.
type sealed struct {
	Header map[string][]string `json:"header"`
	Body   []byte              `json:"body"`
}

// Find gives the answer of a key; nil when nothing was done under it.
func (s *Store) Find(ctx context.Context, key string) (*Answer, error) {
	a, text := &Answer{}, ""
	err := s.db.QueryRowContext(ctx, "SELECT request, object, status, sealed FROM toolkit_answers WHERE key = $1", key).Scan(&a.Request, &a.Object, &a.Status, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil || text == "" {
		return a, db.Translate(err, "find answer")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		raw, err = s.sealer.Open("answer "+key, raw)
	}
	var kept sealed
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		return nil, fault.Internalf("answer of a client's key: %w", err)
	}
	a.Header, a.Body = kept.Header, kept.Body
	return a, nil
}

// Save completes the claim of a key. An answer that is too long is not kept,
// nor one without a claim: then nothing was changed.
func (s *Store) Save(ctx context.Context, key string, a Answer) error {
	if len(a.Body) > maxBody {
		return nil
	}
	raw, err := json.Marshal(sealed{a.Header, a.Body})
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(s.sealer.Seal("answer "+key, raw))
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE toolkit_answers SET status = $1, sealed = $2 WHERE key = $3", a.Status, text, key)
		return db.Translate(err, "save answer")
	})
}

// Expire forgets keys that are older than Keep.
func (s *Store) Expire(ctx context.Context) error {
	before := clock.Micros(s.clock.Now().Add(-Keep))
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM toolkit_answers WHERE created_at < $1", before).Scan(&n)
	if err != nil || n == 0 {
		return db.Translate(err, "count old answers")
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM toolkit_answers WHERE created_at < $1", before)
		return db.Translate(err, "forget old answers")
	})
}
