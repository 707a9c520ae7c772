package records

import (
	"context"
	"net/netip"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
)

type scopeRow struct {
	standard
	IPVersion int `db:"ip_version"`
}

type poolRow struct {
	standard
	Prefixes    db.JSON[[]netip.Prefix] `db:"prefixes"`
	IPVersion   int                     `db:"ip_version"`
	DefaultBits int                     `db:"default_bits"`
	MinBits     int                     `db:"min_bits"`
	MaxBits     int                     `db:"max_bits"`
	Quota       int                     `db:"quota"`
	ScopeID     string                  `db:"scope_id"`
	IsDefault   bool                    `db:"is_default"`
}

type addressGroupRow struct {
	standard
	Addresses db.JSON[[]netip.Prefix] `db:"addresses"`
}

var (
	scopeRows        = db.NewTable[scopeRow]("network_scopes", "id", "Address scope")
	poolRows         = db.NewTable[poolRow]("network_pools", "id", "Subnet pool")
	addressGroupRows = db.NewTable[addressGroupRow]("network_address_groups", "id", "Address group")
)

// Scopes reads and writes address scopes, Pools subnet pools, AddressGroups
// address groups.
type (
	Scopes        = Store[scopeRow, network.AddressScope]
	Pools         = Store[poolRow, network.SubnetPool]
	AddressGroups = Store[addressGroupRow, network.AddressGroup]
)

func scopes(d *db.DB) *Scopes {
	std := func(s *network.AddressScope) *network.Standard { return &s.Standard }
	return &Scopes{db: d, table: scopeRows, pseudo: map[string]string{Visible: sharedObjects}, std: std,
		of: func(r *scopeRow) *network.AddressScope {
			return &network.AddressScope{Standard: r.Standard(), IPVersion: r.IPVersion}
		},
		row:  func(s *network.AddressScope) *scopeRow { return &scopeRow{standardOf(s.Standard), s.IPVersion} },
		fill: fillAudience(std, func(s *network.AddressScope) *network.Audience { return &s.SharedWith }),
	}
}

func pools(d *db.DB) *Pools {
	std := func(p *network.SubnetPool) *network.Standard { return &p.Standard }
	return &Pools{db: d, table: poolRows, pseudo: map[string]string{Visible: sharedObjects}, std: std,
		of: func(r *poolRow) *network.SubnetPool {
			return &network.SubnetPool{Standard: r.Standard(), Prefixes: r.Prefixes.V, IPVersion: r.IPVersion, DefaultBits: r.DefaultBits, MinBits: r.MinBits,
				MaxBits: r.MaxBits, Quota: r.Quota, AddressScopeID: r.ScopeID, IsDefault: r.IsDefault}
		},
		row: func(p *network.SubnetPool) *poolRow {
			return &poolRow{standardOf(p.Standard), db.J(orEmpty(p.Prefixes)), p.IPVersion, p.DefaultBits, p.MinBits, p.MaxBits, p.Quota, p.AddressScopeID, p.IsDefault}
		},
		fill: fillAudience(std, func(p *network.SubnetPool) *network.Audience { return &p.SharedWith }),
	}
}

func addressGroups(d *db.DB) *AddressGroups {
	std := func(g *network.AddressGroup) *network.Standard { return &g.Standard }
	return &AddressGroups{db: d, table: addressGroupRows, pseudo: map[string]string{Visible: sharedObjects}, std: std,
		of: func(r *addressGroupRow) *network.AddressGroup {
			return &network.AddressGroup{Standard: r.Standard(), Addresses: r.Addresses.V}
		},
		row: func(g *network.AddressGroup) *addressGroupRow {
			return &addressGroupRow{standardOf(g.Standard), db.J(orEmpty(g.Addresses))}
		},
		fill: fillAudience(std, func(g *network.AddressGroup) *network.Audience { return &g.SharedWith }),
	}
}

// PoolScope is the address scope of a subnet pool; empty: none, or no pool.
func (r *Records) PoolScope(ctx context.Context, q db.Querier, poolID string) (string, error) {
	return poolScope(ctx, q, poolID)
}

func poolScope(ctx context.Context, q db.Querier, poolID string) (string, error) {
	if poolID == "" {
		return "", nil
	}
	p, err := poolRows.Get(ctx, q, poolID)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return p.ScopeID, nil
}
