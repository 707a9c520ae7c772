package records

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

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
	rows, err := cardRows(ctx, q, servers)
	if err != nil || len(rows) == 0 {
		return out, err
	}
	named, err := namesOf(ctx, q, rows)
	if err != nil {
		return nil, err
	}
	cards := make([]network.Interface, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		if i == 0 || rows[i-1].port != row.port {
			of, ok := named[row.network]
			if !ok { // it was deleted between the queries
				continue
			}
			cards = append(cards, row.card(of, named))
			if n := len(cards); len(out[row.server]) == 0 {
				out[row.server] = cards[n-1 : n : n]
			} else {
				out[row.server] = append(out[row.server], cards[n-1])
			}
		}
		if list := out[row.server]; len(list) > 0 && list[len(list)-1].PortID == row.port {
			row.address(&list[len(list)-1])
		}
	}
	return out, nil
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

// cardRow is a port with one of its fixed addresses and one of its floating ones.
type cardRow struct {
	server, port, network, mac, status, planned, created string
	position, fixed, subnet                              string
	since, floatingID, floating                          string
	groups                                               string // ids with spaces between them
}

// cardRows reads the ports of servers. A row is one text, since each column of
// thousands costs as much as its row: none of it has spaces in it but the last.
func cardRows(ctx context.Context, q db.Querier, servers []string) ([]cardRow, error) {
	text, args := db.OneOf(q, `SELECT CONCAT_WS(' ', p.device_id, p.id, p.network_id, p.mac_address, p.status, CASE WHEN p.planned THEN 1 ELSE 0 END, p.created_at,
			COALESCE(a.position, 0), COALESCE(a.address, ''), COALESCE(a.subnet_id, ''), COALESCE(f.created_at, 0), COALESCE(f.id, ''), COALESCE(f.address, ''),
			(SELECT STRING_AGG(m.group_id, ' ') FROM network_port_groups m WHERE m.port_id = p.id))
		FROM network_ports p LEFT JOIN network_addresses a ON a.port_id = p.id
			LEFT JOIN network_floatings f ON f.port_id = p.id AND f.fixed_address = a.address
		WHERE p.device_id IN (?) AND p.device_id <> ''`, servers)
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, db.Translate(err, "list servers' ports")
	}
	defer rows.Close()
	out := make([]cardRow, 0, len(servers))
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, db.Translate(err, "read servers' ports")
		}
		var c cardRow
		for _, part := range []*string{&c.server, &c.port, &c.network, &c.mac, &c.status, &c.planned, &c.created, &c.position, &c.fixed, &c.subnet,
			&c.since, &c.floatingID, &c.floating} {
			*part, line, _ = strings.Cut(line, " ")
		}
		c.groups = line
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b cardRow) int {
		return cmp.Or(strings.Compare(a.server, b.server), number(a.created, b.created), strings.Compare(a.port, b.port), number(a.position, b.position),
			strings.Compare(a.fixed, b.fixed), number(a.since, b.since), strings.Compare(a.floatingID, b.floatingID))
	})
	return out, db.Translate(rows.Err(), "read servers' ports")
}

// number compares whole numbers as they are written.
func number(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

// card is the port without its addresses.
func (c *cardRow) card(on label, named map[string]label) network.Interface {
	card := network.Interface{PortID: c.port, ServerID: c.server, NetworkID: c.network, MAC: c.mac, NetworkName: on.name, MTU: on.mtu, Active: network.PortStatus(c.status) == network.PortActive,
		Existing: c.planned == "0", Addresses: []network.Address{}, Groups: []string{}}
	ids := strings.Fields(c.groups)
	slices.Sort(ids)
	for _, id := range ids {
		if of, ok := named[id]; ok {
			card.Groups = append(card.Groups, of.name)
		}
	}
	return card
}

// address adds the addresses of the row to its port.
func (c *cardRow) address(to *network.Interface) {
	if n := len(to.Addresses); c.fixed != "" && (n == 0 || fixedBefore(to.Addresses) != c.fixed) {
		version := 4
		if strings.Contains(c.fixed, ":") {
			version = 6
		}
		to.Addresses = append(to.Addresses, network.Address{Address: c.fixed, Version: version, SubnetID: c.subnet})
	}
	if c.floating != "" {
		to.Addresses = append(to.Addresses, network.Address{Address: c.floating, Version: 4, Floating: true})
	}
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

// label is what ports show of a network or a security group.
type label struct {
	name string
	mtu  int
}

// namesOf reads the networks and groups of ports, by id. They are few, and so not
// part of each row.
func namesOf(ctx context.Context, q db.Querier, of []cardRow) (map[string]label, error) {
	ids := map[string]bool{}
	last := cardRow{}
	for i := range of {
		if of[i].network == last.network && of[i].groups == last.groups {
			continue
		}
		last = of[i]
		ids[last.network] = true
		for _, id := range strings.Fields(last.groups) {
			ids[id] = true
		}
	}
	const networks, groups = "SELECT id, name, mtu FROM network_networks", "SELECT id, name, 0 FROM network_groups"
	text, args := db.OneOf(q, networks+" WHERE id IN (?)", slices.Sorted(maps.Keys(ids)))
	rows, err := q.QueryContext(ctx, text+" UNION ALL "+strings.Replace(text, networks, groups, 1), args...)
	if err != nil {
		return nil, db.Translate(err, "list the networks and groups of servers' ports")
	}
	defer rows.Close()
	out := map[string]label{}
	for rows.Next() {
		var id string
		var l label
		if err := rows.Scan(&id, &l.name, &l.mtu); err != nil {
			return nil, db.Translate(err, "read the networks and groups of servers' ports")
		}
		out[id] = l
	}
	return out, db.Translate(rows.Err(), "read the networks and groups of servers' ports")
}
