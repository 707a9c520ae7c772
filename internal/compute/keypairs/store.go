package keypairs

import (
	"context"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string `db:"id"`
	Serial      int64  `db:"serial"`
	UserID      string `db:"user_id"`
	Name        string `db:"name"`
	Type        string `db:"type"`
	PublicKey   string `db:"public_key"`
	Fingerprint string `db:"fingerprint"`
	CreatedAt   int64  `db:"created_at"`
}

var rows = db.NewTable[row]("compute_keypairs", "id", "Keypair")

func (r *row) pair() *compute.KeyPair {
	return &compute.KeyPair{ID: r.ID, Serial: r.Serial, UserID: r.UserID, Name: r.Name, Type: compute.KeyType(r.Type), PublicKey: r.PublicKey,
		Fingerprint: r.Fingerprint, CreatedAt: r.CreatedAt}
}

type store struct{ db *db.DB }

func owned(user, name string) []listing.Term {
	return []listing.Term{{Column: "user_id", Values: []any{user}}, {Column: "name", Values: []any{name}}}
}

func (s store) find(ctx context.Context, q db.Querier, user, name string) (*row, error) {
	r, err := rows.One(ctx, q, owned(user, name)...)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Keypair %s not found for user %s", name, user)
	}
	return r, err
}

// page lists a user's pairs by name; marker is a name.
func (s store) page(ctx context.Context, user, marker string, limit int) ([]*compute.KeyPair, error) {
	q := listing.Query{Order: []listing.Order{{Column: "name"}}, Limit: limit}.And("user_id", listing.Eq, user)
	if marker != "" {
		at, err := s.find(ctx, s.db, user, marker)
		if err != nil {
			return nil, fault.Invalidf("Keypair %s not found for user %s", marker, user)
		}
		q.Marker = at.ID
	}
	found, err := rows.List(ctx, s.db, q)
	out := make([]*compute.KeyPair, len(found))
	for i, r := range found {
		out[i] = r.pair()
	}
	return out, err
}
