package records

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/beside"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
)

// Cards lists the ports of servers, by server, with their addresses and the
// names of their security groups; without what is known of their subnets.
func (r *Records) Cards(ctx context.Context, q db.Querier, servers []string) (map[string][]network.Interface, error) {
	out := make(map[string][]network.Interface, len(servers))
	if len(servers) == 0 {
		return out, nil
	}
	var groups map[string][]string
	named := func() (err error) { groups, err = groupNames(ctx, q, servers); return err }
	found := func() error { return cards(ctx, q, servers, out) }
	do := beside.Do
	if _, within := q.(*db.Tx); within {
		do = inTurn
	}
	if err := do(named, found); err != nil {
		return nil, err
	}
	for _, list := range out {
		for i := range list {
			if list[i].Groups = groups[list[i].PortID]; list[i].Groups == nil {
				list[i].Groups = []string{}
			}
		}
	}
	return out, nil
}

// inTurn is for a transaction, which belongs to one goroutine.
func inTurn(parts ...func() error) error {
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// Card is what Cards tells of a port that was made a moment ago, in the same
// transaction, on a network.
func (r *Records) Card(ctx context.Context, tx *db.Tx, p *network.Port, n *network.Network) (network.Interface, error) {
	c := network.Interface{PortID: p.ID, ServerID: p.DeviceID, NetworkID: n.ID, NetworkName: n.Name, MAC: p.MAC, MTU: n.MTU,
		Active: p.Status == network.PortActive, Existing: !p.Planned, Addresses: []network.Address{}, Groups: []string{}}
	for _, ip := range p.FixedIPs {
		version := 4
		if ip.Address.Is6() {
			version = 6
		}
		c.Addresses = append(c.Addresses, network.Address{Address: ip.Address.String(), Version: version, SubnetID: ip.SubnetID})
	}
	names, err := r.namesOfGroups.Some(tx, p.SecurityGroups, func(missing []string) (map[string]string, error) {
		rows, err := groupRows.Find(ctx, tx, OneOf("id", missing))
		out := make(map[string]string, len(rows))
		for _, g := range rows {
			out[g.ID] = g.Name
		}
		return out, err
	})
	for _, id := range slices.Sorted(slices.Values(p.SecurityGroups)) {
		c.Groups = append(c.Groups, names[id])
	}
	return c, err
}

// cards puts the ports of servers into out, without their groups.
func cards(ctx context.Context, q db.Querier, servers []string, out map[string][]network.Interface) error {
	text, args := db.OneOf(q, `SELECT p.id, p.device_id, p.network_id, p.mac_address, p.status, p.planned, n.name, n.mtu,
			COALESCE(a.address, ''), COALESCE(a.subnet_id, ''), COALESCE(s.ip_version, 0), COALESCE(f.address, '')
		FROM network_ports p JOIN network_networks n ON n.id = p.network_id LEFT JOIN network_addresses a ON a.port_id = p.id
			LEFT JOIN network_subnets s ON s.id = a.subnet_id LEFT JOIN network_floatings f ON f.port_id = p.id AND f.fixed_address = a.address
		WHERE p.device_id IN (?) ORDER BY p.device_id, p.created_at, p.id, a.position, a.address, f.created_at, f.id`, servers)
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return db.Translate(err, "list servers' ports")
	}
	defer rows.Close()
	for rows.Next() {
		var c network.Interface
		var status, address, subnet, floating string
		var planned bool
		var version int
		if err := rows.Scan(&c.PortID, &c.ServerID, &c.NetworkID, &c.MAC, &status, &planned, &c.NetworkName, &c.MTU, &address, &subnet, &version, &floating); err != nil {
			return db.Translate(err, "read servers' ports")
		}
		list := out[c.ServerID]
		if len(list) == 0 || list[len(list)-1].PortID != c.PortID {
			c.Active, c.Existing, c.Addresses = network.PortStatus(status) == network.PortActive, !planned, []network.Address{}
			list = append(list, c)
			out[c.ServerID] = list
		}
		last := &list[len(list)-1]
		if n := len(last.Addresses); address != "" && (n == 0 || fixedBefore(last.Addresses) != address) {
			last.Addresses = append(last.Addresses, network.Address{Address: address, Version: version, SubnetID: subnet})
		}
		if floating != "" {
			last.Addresses = append(last.Addresses, network.Address{Address: floating, Version: 4, Floating: true})
		}
	}
	return db.Translate(rows.Err(), "read servers' ports")
}

// fixedBefore is the last fixed address of a list.
func fixedBefore(list []network.Address) string {
	for i := len(list) - 1; i >= 0; i-- {
		if !list[i].Floating {
			return list[i].Address
		}
	}
	return ""
}

func groupNames(ctx context.Context, q db.Querier, servers []string) (map[string][]string, error) {
	text, args := db.OneOf(q, `SELECT m.port_id, g.name FROM network_port_groups m JOIN network_groups g ON g.id = m.group_id
		JOIN network_ports p ON p.id = m.port_id WHERE p.device_id IN (?) ORDER BY m.port_id, m.group_id`, servers)
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, db.Translate(err, "list the groups of servers' ports")
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var port, name string
		if err := rows.Scan(&port, &name); err != nil {
			return nil, db.Translate(err, "read the groups of servers' ports")
		}
		out[port] = append(out[port], name)
	}
	return out, db.Translate(rows.Err(), "read the groups of servers' ports")
}
