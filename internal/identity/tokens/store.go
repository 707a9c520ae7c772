package tokens

import (
	"context"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type keyRow struct {
	ID        string `db:"id"`
	State     string `db:"state"`
	Sealed    string `db:"sealed"`
	CreatedAt int64  `db:"created_at"`
	RetiredAt int64  `db:"retired_at"`
}

type revocationRow struct {
	ID      string `db:"id"`
	Subject string `db:"subject"`
	Key     string `db:"key"`
	Before  int64  `db:"before_at"`
	Until   int64  `db:"until_at"`
}

type store struct {
	keys        *db.Table[keyRow]
	revocations *db.Table[revocationRow]
}

func newStore() store {
	return store{
		keys:        db.NewTable[keyRow]("identity_keys", "id", "Key"),
		revocations: db.NewTable[revocationRow]("identity_revocations", "id", "Revocation"),
	}
}

// generation reads the row that counts changes of identity rows.
func (store) generation(ctx context.Context, q db.Querier) (int64, error) {
	var n int64
	err := q.QueryRowContext(ctx, "SELECT generation FROM identity_epoch WHERE name = $1", "identity").Scan(&n)
	return n, db.Translate(err, "read identity epoch")
}

// generationAndTime reads it together with the database's clock, in microseconds.
func (store) generationAndTime(ctx context.Context, q db.Querier) (n, now int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT generation, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint) FROM identity_epoch WHERE name = $1",
		"identity").Scan(&n, &now)
	return n, now, db.Translate(err, "read identity epoch")
}

// advance raises the generation and gives the new one, and the time of what is
// revoked with it: at, or later where a revocation has had that time. Its row
// lock is what orders changes of several servers.
func (store) advance(ctx context.Context, tx *db.Tx, at int64) (n, mark int64, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE identity_epoch SET generation = generation + 1,
		mark = CASE WHEN mark < CAST($1 AS bigint) THEN CAST($1 AS bigint) ELSE mark + 1 END WHERE name = $2 RETURNING generation, mark`, at, "identity").Scan(&n, &mark)
	tx.Notify(Topic, strconv.FormatInt(n, 10))
	return n, mark, db.Translate(err, "raise identity epoch")
}

// revoke writes epochs; one that is already later stays.
func (store) revoke(ctx context.Context, tx *db.Tx, list []identity.Revocation) error {
	for _, r := range list {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_revocations (id, subject, key, before_at, until_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET before_at = excluded.before_at, until_at = excluded.until_at
			WHERE identity_revocations.before_at < excluded.before_at`,
			string(r.Subject)+":"+r.Key, string(r.Subject), r.Key, clock.Micros(r.Before), clock.Micros(r.Until))
		if err != nil {
			return db.Translate(err, "write revocation")
		}
	}
	return nil
}

func (s store) live(ctx context.Context, q db.Querier, now time.Time) ([]identity.Revocation, error) {
	rows, err := s.revocations.Find(ctx, q, listing.Term{Column: "until_at", Op: listing.MoreEq, Values: []any{clock.Micros(now)}})
	if err != nil {
		return nil, err
	}
	out := make([]identity.Revocation, len(rows))
	for i, r := range rows {
		out[i] = identity.Revocation{Subject: identity.Subject(r.Subject), Key: r.Key, Before: clock.FromMicros(r.Before), Until: clock.FromMicros(r.Until)}
	}
	return out, nil
}

func (s store) prune(ctx context.Context, tx *db.Tx, now time.Time) error {
	_, err := s.revocations.DeleteWhere(ctx, tx, listing.Term{Column: "until_at", Op: listing.Less, Values: []any{clock.Micros(now)}})
	return err
}

// keyName goes before a key's id to make the name it is sealed under.
const keyName = "token key "

func (s store) loadKeys(ctx context.Context, q db.Querier, seal Sealer) ([]Key, error) {
	rows, err := s.keys.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]Key, len(rows))
	for i, r := range rows {
		raw, err := base64.StdEncoding.DecodeString(r.Sealed)
		if err != nil {
			return nil, fault.Internalf("decode token key %s: %w", r.ID, err)
		}
		secret, err := seal.Open(keyName+r.ID, raw)
		if err != nil {
			return nil, fault.Internalf("open token key %s: %w", r.ID, err)
		}
		out[i] = Key{ID: r.ID, State: KeyState(r.State), Secret: secret, CreatedAt: clock.FromMicros(r.CreatedAt)}
		if r.RetiredAt != 0 {
			out[i].RetiredAt = clock.FromMicros(r.RetiredAt)
		}
	}
	return out, nil
}

func (s store) saveKeys(ctx context.Context, tx *db.Tx, seal Sealer, kept, dropped []Key) error {
	for _, k := range kept {
		sealed := base64.StdEncoding.EncodeToString(seal.Seal(keyName+k.ID, k.Secret))
		row := &keyRow{ID: k.ID, State: string(k.State), Sealed: sealed, CreatedAt: clock.Micros(k.CreatedAt)}
		if !k.RetiredAt.IsZero() {
			row.RetiredAt = clock.Micros(k.RetiredAt)
		}
		if err := s.keys.Upsert(ctx, tx, row); err != nil {
			return err
		}
	}
	for _, k := range dropped {
		if err := s.keys.Delete(ctx, tx, k.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
