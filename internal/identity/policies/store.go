package policies

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID        string                  `db:"id"`
	Type      string                  `db:"type"`
	Blob      string                  `db:"blob"`
	Extra     db.JSON[map[string]any] `db:"extra"`
	CreatedAt int64                   `db:"created_at"`
}

func toRow(p *identity.Policy) *row {
	return &row{p.ID, p.Type, p.Blob, db.J(p.Extra), clock.Micros(p.CreatedAt)}
}

func (r *row) policy() *identity.Policy {
	return &identity.Policy{ID: r.ID, Type: r.Type, Blob: r.Blob, Extra: r.Extra.V, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

// tie is a row that says which policy a target has.
type tie struct {
	ID         string  `db:"id"`
	PolicyID   string  `db:"policy_id"`
	EndpointID *string `db:"endpoint_id"`
	ServiceID  *string `db:"service_id"`
	RegionID   *string `db:"region_id"`
}

type store struct {
	policies *db.Table[row]
	ties     *db.Table[tie]
}

func newStore() store {
	return store{db.NewTable[row]("identity_policies", "id", "Policy"), db.NewTable[tie]("identity_policy_ties", "id", "Policy association")}
}

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.Policy, error) {
	r, err := s.policies.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find policy: %s.", id)
	}
	if err != nil {
		return nil, err
	}
	return r.policy(), nil
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.Policy, error) {
	rows, err := s.policies.List(ctx, q, query)
	if err != nil {
		return nil, err
	}
	out := make([]*identity.Policy, len(rows))
	for i, r := range rows {
		out[i] = r.policy()
	}
	return out, nil
}

func ref(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (t *tie) target() identity.PolicyTarget {
	return identity.PolicyTarget{EndpointID: deref(t.EndpointID), ServiceID: deref(t.ServiceID), RegionID: deref(t.RegionID)}
}

// tied finds what is tied to a policy, or all ties when policy is empty.
func (s store) tied(ctx context.Context, q db.Querier, policy string) ([]*tie, error) {
	if policy == "" {
		return s.ties.Find(ctx, q)
	}
	return s.ties.Find(ctx, q, listing.Term{Column: "policy_id", Op: listing.Eq, Values: []any{policy}})
}

// untie removes a tie; false when there was none.
func (s store) untie(ctx context.Context, tx *db.Tx, policy string, t identity.PolicyTarget) (bool, error) {
	done, err := tx.ExecContext(ctx, `DELETE FROM identity_policy_ties WHERE ($1 = '' OR policy_id = $2) AND COALESCE(endpoint_id, '') = $3
		AND COALESCE(service_id, '') = $4 AND COALESCE(region_id, '') = $5`, policy, policy, t.EndpointID, t.ServiceID, t.RegionID)
	if err != nil {
		return false, db.Translate(err, "remove policy association")
	}
	n, err := done.RowsAffected()
	return n > 0, db.Translate(err, "remove policy association")
}
