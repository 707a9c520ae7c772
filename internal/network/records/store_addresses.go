package records

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
)

type addressRow struct {
	SubnetID string `db:"subnet_id"`
	Address  string `db:"address"`
	PortID   string `db:"port_id"`
	Position int    `db:"position"`
}

var addressRows = db.NewTable[addressRow]("network_addresses", "address", "Address")

// guesses are addresses that were chosen without a look at who has them, and their subnets.
type guesses map[network.FixedIP]network.Subnet

// guess chooses an address that is probably free: whether it is shows when the
// port's row is written, which asks the same index.
func (r *Records) guess(g guesses) picker {
	return func(ctx context.Context, tx *db.Tx, s network.Subnet) (netip.Addr, error) {
		if err := subnetRows.Hold(ctx, tx, s.ID); err != nil {
			return netip.Addr{}, err
		}
		a, err := randomAddress(s, func(netip.Addr) (bool, error) { return false, nil })
		if err != nil || !a.IsValid() {
			return r.PickAddress(ctx, tx, s)
		}
		g[network.FixedIP{SubnetID: s.ID, Address: a}] = s
		return a, nil
	}
}

// settle writes the row of a guessed address, or of one that is free.
func (r *Records) settle(ctx context.Context, tx *db.Tx, row *addressRow, s network.Subnet) error {
	added, err := addressRows.InsertUnless(ctx, tx, row, "subnet_id, address")
	if err != nil || added {
		return err
	}
	a, err := r.PickAddress(ctx, tx, s)
	if err != nil {
		return err
	}
	row.Address = a.String()
	return addressRows.Insert(ctx, tx, row)
}

// setAddresses makes the rows of a port's addresses. Those that were guessed and
// were not free become others.
func (r *Records) setAddresses(ctx context.Context, tx *db.Tx, portID string, before, after []network.FixedIP, g guesses) error {
	kept, next, err := keepAddresses(ctx, tx, portID, before, after)
	if err != nil {
		return err
	}
	for i, ip := range after[kept:] {
		row := &addressRow{ip.SubnetID, ip.Address.String(), portID, next + i}
		if s, guessed := g[ip]; guessed {
			if err := r.settle(ctx, tx, row, s); err != nil {
				return err
			}
			after[kept+i].Address = addr(row.Address)
			continue
		}
		err := addressRows.Insert(ctx, tx, row)
		if fault.Is(err, fault.Conflict) {
			return fault.Conflictf("IP address %s already allocated in subnet %s", ip.Address, ip.SubnetID).With("IpAddressAlreadyAllocated")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepAddresses takes away the rows of addresses that a port no longer has. What
// stays keeps its rows, for the port of a network's metadata has thousands: the
// first kept ones of after. Those behind them get the positions from next on.
func keepAddresses(ctx context.Context, tx *db.Tx, portID string, before, after []network.FixedIP) (kept, next int, err error) {
	if len(before) == 0 {
		return 0, 0, nil
	}
	stays := make(map[network.FixedIP]bool, len(after))
	for _, ip := range after {
		stays[ip] = true
	}
	var gone []network.FixedIP
	inOrder := true
	for _, ip := range before {
		if !stays[ip] {
			gone = append(gone, ip)
			continue
		}
		inOrder = inOrder && after[kept] == ip
		kept++
	}
	if !inOrder || kept == 0 {
		_, err = addressRows.DeleteWhere(ctx, tx, Is("port_id", portID))
		return 0, 0, err
	}
	for _, ip := range gone {
		if _, err := addressRows.DeleteWhere(ctx, tx, Is("subnet_id", ip.SubnetID), Is("address", ip.Address.String())); err != nil {
			return 0, 0, err
		}
	}
	if kept == len(after) {
		return kept, 0, nil
	}
	err = tx.QueryRowContext(ctx, "SELECT MAX(position) + 1 FROM network_addresses WHERE port_id = $1", portID).Scan(&next)
	return kept, next, db.Translate(err, "read the positions of addresses")
}

// AddressesOn counts the addresses given out on a subnet.
func (r *Records) AddressesOn(ctx context.Context, q db.Querier, subnetID string) (int64, error) {
	return addressRows.Count(ctx, q, Is("subnet_id", subnetID))
}

// Taken tells whether an address of a subnet is given out.
func (r *Records) Taken(ctx context.Context, q db.Querier, subnetID string, a netip.Addr) (bool, error) {
	n, err := addressRows.Count(ctx, q, Is("subnet_id", subnetID), Is("address", a.String()))
	return n > 0, err
}

// Holder is the port that has an address of a subnet; NotFound when none has.
func (r *Records) Holder(ctx context.Context, q db.Querier, subnetID string, a netip.Addr) (*network.Port, error) {
	row, err := addressRows.One(ctx, q, Is("subnet_id", subnetID), Is("address", a.String()))
	if err != nil {
		return nil, err
	}
	return r.Ports.Find(ctx, q, row.PortID)
}

// errFull says that a subnet has no address left.
func errFull(networkID string) error {
	return fault.Conflictf("No more IP addresses available on network %s.", networkID).With("IpAddressGenerationFailure")
}

// PickAddress chooses a free address of a subnet's pools. The subnet's row is
// locked until tx ends, so that others choose after us.
func (r *Records) PickAddress(ctx context.Context, tx *db.Tx, s network.Subnet) (netip.Addr, error) {
	if err := subnetRows.Hold(ctx, tx, s.ID); err != nil {
		return netip.Addr{}, err
	}
	if a, err := randomAddress(s, func(a netip.Addr) (bool, error) { return r.Taken(ctx, tx, s.ID, a) }); err != nil || a.IsValid() {
		return a, err
	}
	rows, err := addressRows.Find(ctx, tx, Is("subnet_id", s.ID))
	if err != nil {
		return netip.Addr{}, err
	}
	used := map[netip.Addr]bool{}
	for _, row := range rows {
		used[addr(row.Address)] = true
	}
	return firstAddress(s, used)
}

// randomAddress is a free address, or none when a few tries met none.
func randomAddress(s network.Subnet, taken func(netip.Addr) (bool, error)) (netip.Addr, error) {
	// A few random tries find one in a subnet that is not crowded, without
	// reading what is taken, and an address is not soon given out again.
	for range 8 {
		a, ok := network.NthAddress(s.Pools, randomNumber())
		if !ok {
			return netip.Addr{}, errFull(s.NetworkID)
		}
		used, err := taken(a)
		if err != nil {
			return netip.Addr{}, err
		}
		if !used && a != s.Gateway {
			return a, nil
		}
	}
	return netip.Addr{}, nil
}

// firstAddress is the first one that is not used.
func firstAddress(s network.Subnet, used map[netip.Addr]bool) (netip.Addr, error) {
	for _, pool := range s.Pools {
		for a := pool.Start; a.Compare(pool.End) <= 0; a = a.Next() {
			if !used[a] && a != s.Gateway {
				return a, nil
			}
		}
	}
	return netip.Addr{}, errFull(s.NetworkID)
}

// AddAddress gives a port of a network an address of a subnet that was just made,
// behind those that it has. found is false when the network has no such port.
func (r *Records) AddAddress(ctx context.Context, tx *db.Tx, owner string, s network.Subnet) (found bool, err error) {
	a, err := randomAddress(s, func(netip.Addr) (bool, error) { return false, nil }) // nobody has one of it yet
	if err == nil && !a.IsValid() {
		a, err = firstAddress(s, nil)
	}
	if err != nil {
		return false, err
	}
	portID, host, err := r.touchOwned(ctx, tx, s.NetworkID, owner)
	if err != nil || portID == "" {
		return false, err
	}
	// The end of an index, not a count: the port has an address of each subnet.
	if _, err := tx.ExecContext(ctx, `INSERT INTO network_addresses (subnet_id, address, port_id, position)
		SELECT CAST($1 AS text), CAST($2 AS text), CAST($3 AS text), COALESCE(MAX(position) + 1, 0) FROM network_addresses WHERE port_id = $3`, s.ID, a.String(), portID); err != nil {
		return true, db.Translate(err, "add an address")
	}
	r.Changed(tx, network.PortScope(portID))
	if host == "" {
		return true, nil
	}
	revision, err := r.raise(ctx, tx, host, portID)
	if err != nil {
		return true, err
	}
	return true, portRows.Set(ctx, tx, portID, map[string]any{"binding_revision": revision})
}

// touchOwned stamps the port of a network that this service made as an owner, and
// tells its host; an empty id: there is none.
func (r *Records) touchOwned(ctx context.Context, tx *db.Tx, networkID, owner string) (portID, host string, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE network_ports SET revision = revision + 1, updated_at = $1
		WHERE id = (SELECT id FROM network_ports WHERE network_id = $2 AND device_owner = $3 AND `+servicePort+` LIMIT 1)
		RETURNING id, host`, r.Now(), networkID, owner).Scan(&portID, &host)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", nil
	}
	return portID, host, db.Translate(err, "stamp a port")
}

func randomNumber() uint64 {
	var n uint64
	for _, b := range id.Bytes(8) {
		n = n<<8 | uint64(b)
	}
	return n
}

// PickMAC chooses a MAC that no port of a network has.
func (r *Records) PickMAC(ctx context.Context, tx *db.Tx, networkID string) (string, error) {
	for range 64 {
		mac := network.MACFrom(id.Bytes(3))
		n, err := portRows.Count(ctx, tx, Is("network_id", networkID), Is("mac_address", mac))
		if err != nil {
			return "", err
		}
		if n == 0 {
			return mac, nil
		}
	}
	return "", errNoMAC(networkID)
}

func errNoMAC(networkID string) error {
	return fault.Conflictf("Unable to generate unique mac on network %s.", networkID).With("MacAddressGenerationFailure")
}

// UsedOutside lists addresses of a subnet that lie outside of pools; for
// updates of the pools. Addresses outside of them stay where they are.
func (r *Records) UsedOutside(ctx context.Context, q db.Querier, subnetID string, pools []network.Range) ([]netip.Addr, error) {
	rows, err := addressRows.Find(ctx, q, Is("subnet_id", subnetID))
	var out []netip.Addr
	for _, row := range rows {
		a := addr(row.Address)
		if !slices.ContainsFunc(pools, func(p network.Range) bool { return p.Contains(a) }) {
			out = append(out, a)
		}
	}
	return out, err
}
