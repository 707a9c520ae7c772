package users

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID                string                        `db:"id"`
	Name              string                        `db:"name"`
	DomainID          string                        `db:"domain_id"`
	DefaultProjectID  string                        `db:"default_project_id"`
	Enabled           bool                          `db:"enabled"`
	Options           db.JSON[identity.UserOptions] `db:"options"`
	Extra             db.JSON[map[string]any]       `db:"extra"`
	CreatedAt         int64                         `db:"created_at"`
	LastActive        int64                         `db:"last_active"`
	PasswordHash      string                        `db:"password_hash"`
	PasswordCreatedAt int64                         `db:"password_created_at"`
	PasswordExpiresAt int64                         `db:"password_expires_at"`
	PasswordSelf      bool                          `db:"password_self"`
	Failures          int64                         `db:"failures"`
	LastFailure       int64                         `db:"last_failure"`
	Shadow            bool                          `db:"shadow"`
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return clock.Micros(t)
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return clock.FromMicros(us)
}

func toRow(u *identity.User) *row {
	p := u.Password
	return &row{ID: u.ID, Name: u.Name, DomainID: u.DomainID, DefaultProjectID: u.DefaultProjectID, Enabled: u.Enabled,
		Options: db.J(u.Options), Extra: db.J(u.Extra), CreatedAt: micros(u.CreatedAt), LastActive: micros(u.LastActive),
		PasswordHash: p.Hash, PasswordCreatedAt: micros(p.CreatedAt), PasswordExpiresAt: micros(p.ExpiresAt), PasswordSelf: p.SelfService,
		Failures: int64(p.Failures), LastFailure: micros(p.LastFailure), Shadow: u.Shadow}
}

func (r *row) user() *identity.User {
	return &identity.User{ID: r.ID, Name: r.Name, DomainID: r.DomainID, DefaultProjectID: r.DefaultProjectID, Enabled: r.Enabled,
		Options: r.Options.V, Extra: r.Extra.V, CreatedAt: moment(r.CreatedAt), LastActive: moment(r.LastActive), Shadow: r.Shadow,
		Password: identity.Password{Hash: r.PasswordHash, CreatedAt: moment(r.PasswordCreatedAt), ExpiresAt: moment(r.PasswordExpiresAt),
			SelfService: r.PasswordSelf, Failures: int(r.Failures), LastFailure: moment(r.LastFailure)}}
}

type historyRow struct {
	ID        string `db:"id"`
	UserID    string `db:"user_id"`
	Hash      string `db:"hash"`
	CreatedAt int64  `db:"created_at"`
}

type store struct {
	table     *db.Table[row]
	history   *db.Table[historyRow]
	federated *db.Table[federatedRow]
}

func newStore() store {
	return store{db.NewTable[row]("identity_users", "id", "User"), db.NewTable[historyRow]("identity_password_history", "id", "Password"),
		db.NewTable[federatedRow]("identity_federated_users", "id", "Federated user")}
}

func notFound(id string) error { return fault.NotFoundf("Could not find user: %s.", id) }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.User, error) {
	r, err := s.table.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	return r.user(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query, extra ...db.Cond) ([]*identity.User, error) {
	rows, err := s.table.List(ctx, q, query, extra...)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.User, len(rows))
	for i, r := range rows {
		out[i] = r.user()
	}
	return out, nil
}

func inGroup(group string) db.Cond {
	return db.Cond{SQL: "id IN (SELECT user_id FROM identity_group_users WHERE group_id = ?)", Args: []any{group}}
}

// remember keeps a hash that is being replaced, and forgets all but the newest keep.
func (s store) remember(ctx context.Context, tx *db.Tx, user, hash string, at time.Time, keep int) error {
	if hash != "" {
		if err := s.history.Insert(ctx, tx, &historyRow{ID: id.New(), UserID: user, Hash: hash, CreatedAt: clock.Micros(at)}); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_password_history WHERE user_id = $1 AND id NOT IN
		(SELECT id FROM identity_password_history WHERE user_id = $2 ORDER BY created_at DESC, id LIMIT $3)`, user, user, keep)
	return db.Translate(err, "forget old passwords")
}

func (s store) oldHashes(ctx context.Context, q db.Querier, user string, count int) ([]string, error) {
	rows, err := s.history.List(ctx, q, listing.Query{Order: []listing.Order{{Column: "created_at", Desc: true}}, Limit: count}.
		And("user_id", listing.Eq, user))
	if err != nil {
		return nil, err
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.Hash
	}
	return out, nil
}

// tried records the outcome of a login. It changes no right of anybody, so no
// generation is raised.
func (s store) tried(ctx context.Context, tx *db.Tx, id string, failures int, at, active time.Time) error {
	return s.table.Set(ctx, tx, id, map[string]any{"failures": int64(failures), "last_failure": micros(at), "last_active": micros(active)})
}

func (s store) rehash(ctx context.Context, tx *db.Tx, id, old, hash string) error {
	_, err := tx.ExecContext(ctx, `UPDATE identity_users SET password_hash = $1 WHERE id = $2 AND password_hash = $3`, hash, id, old)
	return db.Translate(err, "upgrade password hash")
}
