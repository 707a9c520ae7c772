package records

import (
	"context"
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

// setAddresses makes the rows of a port's addresses.
func (r *Records) setAddresses(ctx context.Context, tx *db.Tx, portID string, before, after []network.FixedIP) error {
	kept := 0
	if len(before) <= len(after) && slices.Equal(before, after[:len(before)]) { // what there is stays where it is
		kept = len(before)
	} else if len(before) > 0 {
		if _, err := addressRows.DeleteWhere(ctx, tx, Is("port_id", portID)); err != nil {
			return err
		}
	}
	for i, ip := range after[kept:] {
		err := addressRows.Insert(ctx, tx, &addressRow{ip.SubnetID, ip.Address.String(), portID, kept + i})
		if fault.Is(err, fault.Conflict) {
			return fault.Conflictf("IP address %s already allocated in subnet %s", ip.Address, ip.SubnetID).With("IpAddressAlreadyAllocated")
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	// A few random tries find one in a subnet that is not crowded, without
	// reading what is taken, and an address is not soon given out again.
	for range 8 {
		a, ok := network.NthAddress(s.Pools, randomNumber())
		if !ok {
			return netip.Addr{}, errFull(s.NetworkID)
		}
		taken, err := r.Taken(ctx, tx, s.ID, a)
		if err != nil {
			return netip.Addr{}, err
		}
		if !taken && a != s.Gateway {
			return a, nil
		}
	}
	rows, err := addressRows.Find(ctx, tx, Is("subnet_id", s.ID))
	if err != nil {
		return netip.Addr{}, err
	}
	used := map[netip.Addr]bool{s.Gateway: true}
	for _, row := range rows {
		used[addr(row.Address)] = true
	}
	for _, pool := range s.Pools {
		for a := pool.Start; a.Compare(pool.End) <= 0; a = a.Next() {
			if !used[a] {
				return a, nil
			}
		}
	}
	return netip.Addr{}, errFull(s.NetworkID)
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
	return "", fault.Conflictf("Unable to generate unique mac on network %s.", networkID).With("MacAddressGenerationFailure")
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
