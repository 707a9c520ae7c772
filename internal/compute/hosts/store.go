package hosts

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// row is one host; its name is the agent's, its id the hypervisor's UUID.
type row struct {
	ID             string         `db:"id"`
	Serial         int64          `db:"serial"`
	ServiceID      string         `db:"service_id"`
	Name           string         `db:"name"`
	Zone           string         `db:"zone"`
	Facts          db.JSON[Facts] `db:"facts"`
	Disabled       bool           `db:"disabled"`
	DisabledReason string         `db:"disabled_reason"`
	ForcedDown     bool           `db:"forced_down"`
	SeenAt         int64          `db:"seen_at"`
	CreatedAt      int64          `db:"created_at"`
}

var rows = db.NewTable[row]("compute_hosts", "id", "Host")

func byName(ctx context.Context, q db.Querier, name string) (*row, error) {
	r, err := rows.One(ctx, q, listing.Term{Column: "name", Values: []any{name}})
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Compute host %s could not be found.", name)
	}
	return r, err
}
