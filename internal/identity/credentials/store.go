package credentials

import (
	"context"
	"encoding/base64"

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

type row struct {
	ID        string                  `db:"id"`
	UserID    string                  `db:"user_id"`
	ProjectID *string                 `db:"project_id"`
	Type      string                  `db:"type"`
	Sealed    string                  `db:"sealed"`
	Extra     db.JSON[map[string]any] `db:"extra"`
	CreatedAt int64                   `db:"created_at"`
}

type store struct {
	table *db.Table[row]
	seal  Sealer
}

func newStore(seal Sealer) store {
	return store{db.NewTable[row]("identity_credentials", "id", "Credential"), seal}
}

func notFound(id string) error { return fault.NotFoundf("Could not find credential: %s.", id) }

// sealName binds a blob to its row.
func sealName(id string) string { return "credential " + id }

func (s store) toRow(c *identity.Credential) *row {
	r := &row{ID: c.ID, UserID: c.UserID, Type: c.Type, CreatedAt: clock.Micros(c.CreatedAt),
		Sealed: base64.StdEncoding.EncodeToString(s.seal.Seal(sealName(c.ID), []byte(c.Blob)))}
	if c.ProjectID != "" {
		r.ProjectID = &c.ProjectID
	}
	return r
}

func (s store) credential(r *row) (*identity.Credential, error) {
	raw, err := base64.StdEncoding.DecodeString(r.Sealed)
	if err != nil {
		return nil, fault.Internalf("decode credential %s: %w", r.ID, err)
	}
	blob, err := s.seal.Open(sealName(r.ID), raw)
	if err != nil {
		return nil, fault.Internalf("open credential %s: %w", r.ID, err)
	}
	c := &identity.Credential{ID: r.ID, UserID: r.UserID, Type: r.Type, Blob: string(blob), CreatedAt: clock.FromMicros(r.CreatedAt)}
	if r.ProjectID != nil {
		c.ProjectID = *r.ProjectID
	}
	return c, nil
}

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Credential, error) {
	r, err := s.table.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	return s.credential(r)
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.Credential, error) {
	rows, err := s.table.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Credential, len(rows))
	for i, r := range rows {
		if out[i], err = s.credential(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}
