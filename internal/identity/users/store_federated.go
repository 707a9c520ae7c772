package users

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// federatedRow is a name by which an identity provider knows a user.
type federatedRow struct {
	ID         string `db:"id"`
	UserID     string `db:"user_id"`
	ProviderID string `db:"provider_id"`
	ProtocolID string `db:"protocol_id"`
	UniqueID   string `db:"unique_id"`
}

// named leaves out users whom identity providers brought: their names are not unique.
var named = db.Cond{SQL: "NOT shadow"}

func eq(column, value string) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

// meant finds the user whom a protocol of an identity provider means; NotFound.
func (s store) meant(ctx context.Context, q db.Querier, f identity.FederatedIdentity) (*identity.User, error) {
	r, err := s.federated.One(ctx, q, eq("provider_id", f.ProviderID), eq("protocol_id", f.ProtocolID), eq("unique_id", f.UniqueID))
	if err != nil {
		return nil, err
	}
	return s.get(ctx, q, r.UserID)
}

// known notes by which names identity providers know a user. Conflict: another
// user has one of them. Invalid: there is no such provider or protocol.
func (s store) known(ctx context.Context, tx *db.Tx, user string, names []identity.FederatedIdentity) error {
	for _, f := range names {
		var there int
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM identity_protocols WHERE provider_id = $1 AND name = $2`, f.ProviderID, f.ProtocolID).Scan(&there)
		if err != nil {
			return db.Translate(err, "find protocol")
		}
		if there == 0 {
			return fault.Invalidf("Could not find identity provider %s with protocol %s.", f.ProviderID, f.ProtocolID)
		}
		err = s.federated.Insert(ctx, tx, &federatedRow{id.New(), user, f.ProviderID, f.ProtocolID, f.UniqueID})
		if fault.Is(err, fault.Conflict) {
			return fault.Conflictf("Conflict occurred attempting to store federated user - Duplicate entry.").Because(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s store) forget(ctx context.Context, tx *db.Tx, user string) error {
	_, err := s.federated.DeleteWhere(ctx, tx, eq("user_id", user))
	return err
}

func (s store) names(ctx context.Context, q db.Querier, user string) ([]identity.FederatedIdentity, error) {
	rows, err := s.federated.Find(ctx, q, eq("user_id", user))
	out := make([]identity.FederatedIdentity, len(rows))
	for i, r := range rows {
		out[i] = identity.FederatedIdentity{ProviderID: r.ProviderID, ProtocolID: r.ProtocolID, UniqueID: r.UniqueID}
	}
	return out, err
}

// federatedAs finds the users that fit every part of a name that is not empty.
func federatedAs(f identity.FederatedIdentity) db.Cond {
	c := db.Cond{SQL: "id IN (SELECT user_id FROM identity_federated_users WHERE user_id <> ''"}
	for _, part := range []struct{ column, value string }{{"provider_id", f.ProviderID}, {"protocol_id", f.ProtocolID}, {"unique_id", f.UniqueID}} {
		if part.value != "" {
			c.SQL += " AND " + part.column + " = ?"
			c.Args = append(c.Args, part.value)
		}
	}
	c.SQL += ")"
	return c
}
