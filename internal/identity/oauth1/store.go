package oauth1

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Sealer encrypts with a key of the installation.
type Sealer interface {
	Seal(name string, secret []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

type consumerRow struct {
	ID          string                  `db:"id"`
	Sealed      string                  `db:"sealed"`
	Description *string                 `db:"description"`
	Extra       db.JSON[map[string]any] `db:"extra"`
	CreatedAt   int64                   `db:"created_at"`
}

type requestRow struct {
	ID         string            `db:"id"`
	Sealed     string            `db:"sealed"`
	ConsumerID string            `db:"consumer_id"`
	ProjectID  string            `db:"project_id"`
	UserID     *string           `db:"user_id"`
	Roles      db.JSON[[]string] `db:"roles"`
	Verifier   string            `db:"verifier"`
	ExpiresAt  int64             `db:"expires_at"`
}

type accessRow struct {
	ID         string            `db:"id"`
	Sealed     string            `db:"sealed"`
	ConsumerID string            `db:"consumer_id"`
	ProjectID  string            `db:"project_id"`
	UserID     string            `db:"user_id"`
	Roles      db.JSON[[]string] `db:"roles"`
	ExpiresAt  int64             `db:"expires_at"`
	CreatedAt  int64             `db:"created_at"`
}

type store struct {
	seal      Sealer
	consumers *db.Table[consumerRow]
	requests  *db.Table[requestRow]
	accesses  *db.Table[accessRow]
}

func newStore(seal Sealer) store {
	return store{seal, db.NewTable[consumerRow]("identity_oauth_consumers", "id", "Consumer"),
		db.NewTable[requestRow]("identity_oauth_requests", "id", "Request token"), db.NewTable[accessRow]("identity_oauth_accesses", "id", "Access token")}
}

// close seals the secret of a row; open is its inverse.
func (s store) close(id, secret string) string {
	return base64.StdEncoding.EncodeToString(s.seal.Seal("oauth1 "+id, []byte(secret)))
}

func (s store) open(id, sealed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil {
		raw, err = s.seal.Open("oauth1 "+id, raw)
	}
	if err != nil {
		return "", fault.Internalf("open OAuth secret %s: %w", id, err)
	}
	return string(raw), nil
}

func (s store) fromConsumer(c *identity.Consumer) *consumerRow {
	return &consumerRow{c.ID, s.close(c.ID, c.Secret), c.Description, db.J(c.Extra), clock.Micros(c.CreatedAt)}
}

func (s store) consumer(r *consumerRow) (*identity.Consumer, error) {
	secret, err := s.open(r.ID, r.Sealed)
	return &identity.Consumer{ID: r.ID, Secret: secret, Description: r.Description, Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}, err
}

func (s store) fromRequest(r *identity.OAuthRequest) *requestRow {
	row := &requestRow{r.ID, s.close(r.ID, r.Secret), r.ConsumerID, r.ProjectID, nil, db.J(r.RoleIDs), r.Verifier, clock.Micros(r.ExpiresAt)}
	if r.UserID != "" {
		row.UserID = &r.UserID
	}
	return row
}

func (s store) request(r *requestRow) (*identity.OAuthRequest, error) {
	secret, err := s.open(r.ID, r.Sealed)
	out := &identity.OAuthRequest{ID: r.ID, Secret: secret, ConsumerID: r.ConsumerID, ProjectID: r.ProjectID, RoleIDs: r.Roles.V, Verifier: r.Verifier,
		ExpiresAt: clock.FromMicros(r.ExpiresAt)}
	if r.UserID != nil {
		out.UserID = *r.UserID
	}
	return out, err
}

func (s store) fromAccess(a *identity.OAuthAccess, now time.Time) *accessRow {
	return &accessRow{a.ID, s.close(a.ID, a.Secret), a.ConsumerID, a.ProjectID, a.UserID, db.J(a.RoleIDs), clock.Micros(a.ExpiresAt), clock.Micros(now)}
}

func (s store) access(r *accessRow) (*identity.OAuthAccess, error) {
	secret, err := s.open(r.ID, r.Sealed)
	return &identity.OAuthAccess{ID: r.ID, Secret: secret, ConsumerID: r.ConsumerID, ProjectID: r.ProjectID, UserID: r.UserID, RoleIDs: r.Roles.V,
		ExpiresAt: clock.FromMicros(r.ExpiresAt)}, err
}

// get loads one row and gives a missing one the text of Keystone.
func get[R, T any](ctx context.Context, q db.Querier, t *db.Table[R], id, noun string, convert func(*R) (*T, error)) (*T, error) {
	r, err := t.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("%s not found", noun)
	}
	if err != nil {
		return nil, err
	}
	return convert(r)
}

func list[R, T any](ctx context.Context, q db.Querier, t *db.Table[R], query listing.Query, convert func(*R) (*T, error)) ([]*T, error) {
	rows, err := t.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*T, len(rows))
	for i, r := range rows {
		if out[i], err = convert(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// expire removes what nobody can use any more.
func (store) expire(ctx context.Context, tx *db.Tx, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM identity_oauth_requests WHERE expires_at < $1`, clock.Micros(now)); err != nil {
		return db.Translate(err, "remove expired request tokens")
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_oauth_accesses WHERE expires_at < $1`, clock.Micros(now))
	return db.Translate(err, "remove expired access tokens")
}
