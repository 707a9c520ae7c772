package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

type portRow struct {
	standard
	NetworkID       string                         `db:"network_id"`
	AdminStateUp    bool                           `db:"admin_state_up"`
	Status          string                         `db:"status"`
	MAC             string                         `db:"mac_address"`
	DeviceID        string                         `db:"device_id"`
	DeviceOwner     string                         `db:"device_owner"`
	PortSecurity    bool                           `db:"port_security"`
	AddressPairs    db.JSON[[]network.AddressPair] `db:"address_pairs"`
	DHCPOptions     db.JSON[[]network.DHCPOption]  `db:"dhcp_options"`
	Host            string                         `db:"host"`
	VNICType        string                         `db:"vnic_type"`
	Profile         string                         `db:"profile"`
	BindingRevision int64                          `db:"binding_revision"`
	Planned         bool                           `db:"planned"`
	DNSName         string                         `db:"dns_name"`
	DNSDomain       string                         `db:"dns_domain"`
	DataPlaneStatus string                         `db:"data_plane_status"`
	MACLearning     bool                           `db:"mac_learning"`
	UplinkStatus    bool                           `db:"uplink_status"`
	QoSPolicyID     string                         `db:"qos_policy_id"`
}

// servicePort is the condition on ports that this service made, of which there are
// few on a network: the index of owners has only those.
const servicePort = "device_owner LIKE 'network:%'"

type portGroupRow struct {
	PortID  string `db:"port_id"`
	GroupID string `db:"group_id"`
}

var (
	portRows = db.NewTable[portRow]("network_ports", "id", "Port").Sparse("host", "device_id").
			Partial("device_owner", servicePort, func(owner string) bool { return strings.HasPrefix(owner, "network:") })
	portGroupRows = db.NewTable[portGroupRow]("network_port_groups", "port_id", "Port security group")
)

// Ports reads ports with their addresses and groups.
type Ports = Store[portRow, network.Port]

func ports(d *db.DB) *Ports {
	return &Ports{db: d, table: portRows, of: (*portRow).port, fill: fillPorts, seen: seenPorts, pseudo: map[string]string{
		Visible:     "project_id = ? OR network_id IN (SELECT id FROM network_networks WHERE project_id = ?)",
		OnAddress:   "id IN (SELECT port_id FROM network_addresses WHERE address = ?)",
		OnSubnet:    "id IN (SELECT port_id FROM network_addresses WHERE subnet_id = ?)",
		AddressPart: `id IN (SELECT port_id FROM network_addresses WHERE address LIKE ? ESCAPE '\')`,
		InGroup:     "id IN (SELECT port_id FROM network_port_groups WHERE group_id = ?)",
	}}
}

// seenPorts are a project's own, and others' on its networks. Those are few, and
// found by two ranges of an index.
func seenPorts(project any) []db.Cond {
	const foreign = "network_id IN (SELECT id FROM network_networks WHERE project_id = ?) AND project_id "
	return []db.Cond{{SQL: "project_id = ?", Args: []any{project}}, {SQL: foreign + "< ?", Args: []any{project, project}}, {SQL: foreign + "> ?", Args: []any{project, project}}}
}

func (r *portRow) port() *network.Port {
	return &network.Port{Standard: r.Standard(), NetworkID: r.NetworkID, AdminStateUp: r.AdminStateUp, Status: network.PortStatus(r.Status), MAC: r.MAC,
		DeviceID: r.DeviceID, DeviceOwner: r.DeviceOwner, PortSecurity: r.PortSecurity, AddressPairs: r.AddressPairs.V, DHCPOptions: r.DHCPOptions.V,
		Host: r.Host, VNICType: r.VNICType, Profile: r.Profile, BindingRevision: r.BindingRevision, Planned: r.Planned,
		DNSName: r.DNSName, DNSDomain: r.DNSDomain, DataPlaneStatus: r.DataPlaneStatus, MACLearning: r.MACLearning, UplinkStatus: r.UplinkStatus, QoSPolicyID: r.QoSPolicyID}
}

func portRowOf(p *network.Port) *portRow {
	return &portRow{standardOf(p.Standard), p.NetworkID, p.AdminStateUp, string(p.Status), p.MAC, p.DeviceID, p.DeviceOwner, p.PortSecurity,
		db.J(orEmpty(p.AddressPairs)), db.J(orEmpty(p.DHCPOptions)), p.Host, p.VNICType, p.Profile, p.BindingRevision, p.Planned,
		p.DNSName, p.DNSDomain, p.DataPlaneStatus, p.MACLearning, p.UplinkStatus, p.QoSPolicyID}
}

func fillPorts(ctx context.Context, q db.Querier, items []*network.Port) error {
	byID := map[string]*network.Port{}
	ids := make([]string, len(items))
	for i, p := range items {
		byID[p.ID], ids[i] = p, p.ID
	}
	addresses, err := addressRows.List(ctx, q, listing.Query{Where: []listing.Term{OneOf("port_id", ids)}, Order: []listing.Order{{Column: "position"}}})
	if err != nil {
		return err
	}
	for _, a := range addresses {
		p := byID[a.PortID]
		p.FixedIPs = append(p.FixedIPs, network.FixedIP{SubnetID: a.SubnetID, Address: addr(a.Address)})
	}
	members, err := portGroupRows.Find(ctx, q, OneOf("port_id", ids))
	for _, m := range members {
		byID[m.PortID].SecurityGroups = append(byID[m.PortID].SecurityGroups, m.GroupID)
	}
	for _, p := range items {
		slices.Sort(p.SecurityGroups)
	}
	if err != nil {
		return err
	}
	return fillParents(ctx, q, byID, ids)
}

// insertPort adds a port with its addresses (already chosen) and groups; the
// host of one that is born bound hears of it. false: its MAC was guessed, and
// another port of the network has it.
func (r *Records) insertPort(ctx context.Context, tx *db.Tx, p *network.Port, guessed bool, g guesses) (bool, error) {
	if p.Host != "" {
		revision, err := r.raise(ctx, tx, p.Host, p.ID)
		if err != nil {
			return false, err
		}
		p.BindingRevision = revision
	}
	if err := PinPolicy(ctx, tx, "", p.QoSPolicyID); err != nil {
		return false, err
	}
	if guessed {
		added, err := portRows.InsertUnless(ctx, tx, portRowOf(p), "network_id, mac_address")
		if err != nil || !added {
			return false, err
		}
	} else if err := portRows.Insert(ctx, tx, portRowOf(p)); err != nil {
		return false, err
	}
	if err := addTags(ctx, tx, p.ID, p.Tags); err != nil {
		return false, err
	}
	if err := r.setAddresses(ctx, tx, p.ID, nil, p.FixedIPs, g); err != nil {
		return false, err
	}
	return true, addGroups(ctx, tx, p.ID, p.SecurityGroups)
}

// UpdatePort writes a port that Lock loaded as before; a bound port's host
// hears of it.
func (r *Records) UpdatePort(ctx context.Context, tx *db.Tx, before, p *network.Port) error {
	r.Touch(&p.Standard)
	if err := r.rebind(ctx, tx, before, p); err != nil {
		return err
	}
	if err := PinPolicy(ctx, tx, before.QoSPolicyID, p.QoSPolicyID); err != nil {
		return err
	}
	if err := portRows.Update(ctx, tx, portRowOf(p)); err != nil {
		return err
	}
	if before.Status != p.Status {
		if err := r.followParent(ctx, tx, p.ID, p.Status); err != nil {
			return err
		}
	}
	if !slices.Equal(before.FixedIPs, p.FixedIPs) {
		if err := r.setAddresses(ctx, tx, p.ID, before.FixedIPs, p.FixedIPs, nil); err != nil {
			return err
		}
	}
	if !slices.Equal(before.SecurityGroups, p.SecurityGroups) {
		return setGroups(ctx, tx, p.ID, p.SecurityGroups)
	}
	return nil
}

// rebind raises the revisions of the hosts that a change of a port concerns.
func (r *Records) rebind(ctx context.Context, tx *db.Tx, before, p *network.Port) error {
	same := before.Host == p.Host && slices.Equal(before.FixedIPs, p.FixedIPs) && before.MAC == p.MAC && before.DeviceID == p.DeviceID
	if same {
		return nil
	}
	if before.Host != "" && before.Host != p.Host {
		if _, err := r.raise(ctx, tx, before.Host, p.ID); err != nil {
			return err
		}
	}
	if p.Host == "" {
		return nil
	}
	if before.Host != p.Host { // what the port might have been there it is now
		if _, err := r.DropInactive(ctx, tx, p.ID, p.Host); err != nil {
			return err
		}
	}
	revision, err := r.raise(ctx, tx, p.Host, p.ID)
	p.BindingRevision = revision
	return err
}

// DeletePort removes a port with its addresses, and tells its host.
func (r *Records) DeletePort(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if p.Host != "" {
		if _, err := r.raise(ctx, tx, p.Host, p.ID); err != nil {
			return err
		}
	}
	if err := dropTags(ctx, tx, p.ID); err != nil {
		return err
	}
	return portRows.Delete(ctx, tx, p.ID)
}

func setGroups(ctx context.Context, tx *db.Tx, portID string, ids []string) error {
	if _, err := portGroupRows.DeleteWhere(ctx, tx, Is("port_id", portID)); err != nil {
		return err
	}
	return addGroups(ctx, tx, portID, ids)
}

func addGroups(ctx context.Context, tx *db.Tx, portID string, ids []string) error {
	rows := make([]*portGroupRow, len(ids))
	for i, g := range ids {
		rows[i] = &portGroupRow{portID, g}
	}
	return portGroupRows.Insert(ctx, tx, rows...)
}

// SetStatus writes the status that a host reports, if the port is bound there
// and it differs. It is no change of the resource that its owner made, so the
// revision stays.
func (r *Records) SetStatus(ctx context.Context, tx *db.Tx, host, portID string, status network.PortStatus) error {
	done, err := tx.ExecContext(ctx, "UPDATE network_ports SET status = $1, updated_at = $2 WHERE id = $3 AND host = $4 AND status <> $1", string(status), r.Now(), portID, host)
	if err != nil {
		return db.Translate(err, "write the status of a port")
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return db.Translate(err, "write the status of a port")
	}
	return r.followParent(ctx, tx, portID, status)
}

// BoundTo tells the states of the ports that are bound to a host: of all, or of
// those that are asked for.
func (r *Records) BoundTo(ctx context.Context, host string, ports ...string) (map[string]network.PortStatus, error) {
	statement, args := "SELECT id, status FROM network_ports WHERE host = $1 AND host <> ''", []any{host}
	if len(ports) > 0 {
		marks := make([]string, len(ports))
		for i, id := range ports {
			args = append(args, id)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		statement += " AND id IN (" + strings.Join(marks, ", ") + ")"
	}
	rows, err := r.DB.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, db.Translate(err, "look at a host's ports")
	}
	defer rows.Close()
	out := map[string]network.PortStatus{}
	for rows.Next() {
		var id, status string
		if err := rows.Scan(&id, &status); err != nil {
			return nil, db.Translate(err, "look at a host's ports")
		}
		out[id] = network.PortStatus(status)
	}
	return out, db.Translate(rows.Err(), "look at a host's ports")
}

// BoundAt is the revision at which a port was bound to a host; 0: it is not.
func (r *Records) BoundAt(ctx context.Context, portID, host string) (revision int64, err error) {
	err = r.DB.QueryRowContext(ctx, "SELECT binding_revision FROM network_ports WHERE id = $1 AND host = $2", portID, host).Scan(&revision)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return revision, db.Translate(err, "ask where a port is bound")
}

// BoundHosts lists the hosts that ports are bound to.
func (r *Records) BoundHosts(ctx context.Context) ([]string, error) {
	rows, err := r.DB.QueryContext(ctx, "SELECT DISTINCT host FROM network_ports WHERE host <> '' ORDER BY host")
	if err != nil {
		return nil, db.Translate(err, "list bound hosts")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var host string
		if err := rows.Scan(&host); err != nil {
			return nil, db.Translate(err, "read bound hosts")
		}
		out = append(out, host)
	}
	return out, db.Translate(rows.Err(), "read bound hosts")
}
