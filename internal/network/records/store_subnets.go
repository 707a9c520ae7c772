package records

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
)

type subnetRow struct {
	standard
	NetworkID    string                       `db:"network_id"`
	IPVersion    int                          `db:"ip_version"`
	CIDR         string                       `db:"cidr"`
	Gateway      string                       `db:"gateway_ip"`
	EnableDHCP   bool                         `db:"enable_dhcp"`
	RAMode       string                       `db:"ra_mode"`
	AddressMode  string                       `db:"address_mode"`
	Pools        db.JSON[[]network.Range]     `db:"pools"`
	DNS          db.JSON[[]string]            `db:"dns_nameservers"`
	HostRoutes   db.JSON[[]network.HostRoute] `db:"host_routes"`
	ServiceTypes db.JSON[[]string]            `db:"service_types"`
	PoolID       string                       `db:"pool_id"`
}

var subnetRows = db.NewTable[subnetRow]("network_subnets", "id", "Subnet").Sparse("pool_id")

// Subnets reads subnets.
type Subnets = Store[subnetRow, network.Subnet]

func subnets(d *db.DB) *Subnets {
	return &Subnets{db: d, table: subnetRows, of: (*subnetRow).subnet, seen: seenSubnets, pseudo: map[string]string{
		Visible: "project_id = ? OR network_id IN (SELECT object_id FROM network_shares WHERE action = 'access_as_shared' AND target IN ('*', ?))"}}
}

func seenSubnets(project any) []db.Cond {
	return []db.Cond{{SQL: "project_id = ?", Args: []any{project}},
		{SQL: "project_id <> ? AND network_id IN (SELECT object_id FROM network_shares WHERE action = 'access_as_shared' AND target IN ('*', ?))", Args: []any{project, project}}}
}

func (r *subnetRow) subnet() *network.Subnet {
	return &network.Subnet{Standard: r.Standard(), NetworkID: r.NetworkID, IPVersion: r.IPVersion, CIDR: prefix(r.CIDR), Gateway: addr(r.Gateway),
		EnableDHCP: r.EnableDHCP, IPv6RAMode: r.RAMode, IPv6AddressMode: r.AddressMode, Pools: r.Pools.V, DNSNameservers: r.DNS.V,
		HostRoutes: r.HostRoutes.V, ServiceTypes: r.ServiceTypes.V, PoolID: r.PoolID}
}

func subnetRowOf(s *network.Subnet) *subnetRow {
	return &subnetRow{standardOf(s.Standard), s.NetworkID, s.IPVersion, s.CIDR.String(), addrText(s.Gateway), s.EnableDHCP, s.IPv6RAMode, s.IPv6AddressMode,
		db.J(orEmpty(s.Pools)), db.J(orEmpty(s.DNSNameservers)), db.J(orEmpty(s.HostRoutes)), db.J(orEmpty(s.ServiceTypes)), s.PoolID}
}

// addr reads an address that was written by addrText; empty is none.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{} // empty: there is none
	}
	return a
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func prefix(s string) netip.Prefix {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{} // empty: there is none
	}
	return p
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// InsertSubnet adds a subnet.
func (r *Records) InsertSubnet(ctx context.Context, tx *db.Tx, s *network.Subnet) error {
	r.neighbours.Follow(tx, neighbourhood{s.NetworkID, s.IPVersion}, func(old []Neighbours) []Neighbours {
		return joined(old, Neighbours{s.PoolID, []netip.Prefix{s.CIDR}})
	})
	return subnetRows.Insert(ctx, tx, subnetRowOf(s))
}

// UpdateSubnet writes a subnet that Lock loaded.
func (r *Records) UpdateSubnet(ctx context.Context, tx *db.Tx, s *network.Subnet) error {
	r.Touch(&s.Standard)
	return subnetRows.Update(ctx, tx, subnetRowOf(s))
}

// DeleteSubnet removes the row of a subnet; its addresses must be gone.
func (r *Records) DeleteSubnet(ctx context.Context, tx *db.Tx, subnetID string) error {
	if err := dropTags(ctx, tx, subnetID); err != nil {
		return err
	}
	return subnetRows.Delete(ctx, tx, subnetID)
}

// SubnetsOf loads the subnets of a network.
func (r *Records) SubnetsOf(ctx context.Context, q db.Querier, networkID string) ([]network.Subnet, error) {
	items, err := r.Subnets.Where(ctx, q, Is("network_id", networkID))
	return values(items), err
}

// KnownSubnetsOf is SubnetsOf from memory: the caller changes nothing of it.
func (r *Records) KnownSubnetsOf(ctx context.Context, q db.Querier, networkID string) ([]network.Subnet, error) {
	return r.onNetwork.Get(q, networkID, func() ([]network.Subnet, error) { return r.SubnetsOf(ctx, q, networkID) })
}

// KnownSubnets are those of some subnets that exist, by id, from memory: the caller
// changes nothing of them.
func (r *Records) KnownSubnets(ctx context.Context, q db.Querier, ids []string) (map[string]*network.Subnet, error) {
	return r.subnetsByID.Some(q, ids, func(missing []string) (map[string]*network.Subnet, error) {
		list, err := r.Subnets.Where(ctx, q, OneOf("id", missing))
		out := make(map[string]*network.Subnet, len(list))
		for _, s := range list {
			out[s.ID] = s
		}
		return out, err
	})
}

// Neighbours is what there is on a network of one pool, of one version.
type Neighbours struct {
	PoolID string // empty: of none
	Ranges []netip.Prefix
}

type neighbourhood struct {
	network string
	version int
}

// joined is what there is when something was added. Whoever has what there was keeps
// that: what is added lies behind it.
func joined(old []Neighbours, n Neighbours) []Neighbours {
	all := slices.Clone(old)
	for i, o := range all {
		if o.PoolID == n.PoolID {
			all[i].Ranges = append(o.Ranges, n.Ranges...)
			return all
		}
	}
	return append(all, n)
}

// NeighboursOf tells what a new subnet of a version has to fit to. Networks have
// hundreds of subnets, of which nothing else is read. The caller does not change it.
func (r *Records) NeighboursOf(ctx context.Context, q db.Querier, networkID string, version int) ([]Neighbours, error) {
	return r.neighbours.Get(q, neighbourhood{networkID, version}, func() ([]Neighbours, error) {
		return r.readNeighbours(ctx, q, networkID, version)
	})
}

func (r *Records) readNeighbours(ctx context.Context, q db.Querier, networkID string, version int) ([]Neighbours, error) {
	rows, err := q.QueryContext(ctx, "SELECT pool_id, string_agg(cidr, ' ') FROM network_subnets WHERE network_id = $1 AND ip_version = $2 GROUP BY pool_id ORDER BY pool_id", networkID, version)
	if err != nil {
		return nil, db.Translate(err, "look at a network's ranges")
	}
	defer rows.Close()
	var out []Neighbours
	for rows.Next() {
		var n Neighbours
		var ranges string
		if err := rows.Scan(&n.PoolID, &ranges); err != nil {
			return nil, db.Translate(err, "look at a network's ranges")
		}
		for text := range strings.FieldsSeq(ranges) {
			n.Ranges = append(n.Ranges, prefix(text))
		}
		out = append(out, n)
	}
	return out, db.Translate(rows.Err(), "look at a network's ranges")
}

func values[T any](items []*T) []T {
	out := make([]T, len(items))
	for i, p := range items {
		out[i] = *p
	}
	return out
}
