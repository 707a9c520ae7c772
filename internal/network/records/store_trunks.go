package records

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

type trunkRow struct {
	standard
	PortID       string `db:"port_id"`
	AdminStateUp bool   `db:"admin_state_up"`
}

type subPortRow struct {
	PortID           string `db:"port_id"`
	TrunkID          string `db:"trunk_id"`
	SegmentationType string `db:"segmentation_type"`
	SegmentationID   int    `db:"segmentation_id"`
	CreatedAt        int64  `db:"created_at"`
}

var (
	trunkRows   = db.NewTable[trunkRow]("network_trunks", "id", "Trunk")
	subPortRows = db.NewTable[subPortRow]("network_subports", "port_id", "Subport")
)

// Trunks reads and writes trunks; their subports are read with them.
type Trunks = Store[trunkRow, network.Trunk]

func trunks(d *db.DB) *Trunks {
	return &Trunks{db: d, table: trunkRows, pseudo: map[string]string{Visible: "project_id = ?"}, fill: fillTrunks,
		std: func(t *network.Trunk) *network.Standard { return &t.Standard },
		of: func(r *trunkRow) *network.Trunk {
			return &network.Trunk{Standard: r.Standard(), PortID: r.PortID, AdminStateUp: r.AdminStateUp}
		},
		row: func(t *network.Trunk) *trunkRow { return &trunkRow{standardOf(t.Standard), t.PortID, t.AdminStateUp} },
	}
}

func fillTrunks(ctx context.Context, q db.Querier, items []*network.Trunk) error {
	byID := map[string]*network.Trunk{}
	byPort := map[string]*network.Trunk{}
	ids, parents := make([]string, len(items)), make([]string, len(items))
	for i, t := range items {
		byID[t.ID], ids[i] = t, t.ID
		byPort[t.PortID], parents[i] = t, t.PortID
		t.Status = network.StatusDown
	}
	rows, err := subPortRows.Find(ctx, q, OneOf("trunk_id", ids))
	if err != nil {
		return err
	}
	for _, r := range rows {
		t := byID[r.TrunkID]
		t.SubPorts = append(t.SubPorts, network.SubPort{PortID: r.PortID, SegmentationType: r.SegmentationType, SegmentationID: r.SegmentationID})
	}
	ports, err := portRows.Find(ctx, q, OneOf("id", parents))
	for _, p := range ports {
		if t := byPort[p.ID]; p.Status == string(network.PortActive) && t.AdminStateUp {
			t.Status = network.StatusActive
		}
	}
	return err
}

// fillParents gives ports the trunks that they are the parents of.
func fillParents(ctx context.Context, q db.Querier, ports map[string]*network.Port, ids []string) error {
	rows, err := trunkRows.Find(ctx, q, OneOf("port_id", ids))
	if err != nil || len(rows) == 0 {
		return err
	}
	for _, r := range rows {
		t := &network.Trunk{Standard: r.Standard(), PortID: r.PortID, AdminStateUp: r.AdminStateUp}
		subs, err := subPortRows.Find(ctx, q, Is("trunk_id", r.ID))
		if err != nil {
			return err
		}
		p := ports[r.PortID]
		p.Trunk, p.TrunkMACs = t, map[string]string{}
		for _, s := range subs {
			t.SubPorts = append(t.SubPorts, network.SubPort{PortID: s.PortID, SegmentationType: s.SegmentationType, SegmentationID: s.SegmentationID})
			row, err := portRows.Get(ctx, q, s.PortID)
			if err != nil {
				return err
			}
			p.TrunkMACs[s.PortID] = row.MAC
		}
	}
	return nil
}

// AddSubPort puts a port into a trunk; Conflict when the segment is in use.
func (r *Records) AddSubPort(ctx context.Context, tx *db.Tx, trunkID string, s network.SubPort) error {
	return subPortRows.Insert(ctx, tx, &subPortRow{s.PortID, trunkID, s.SegmentationType, s.SegmentationID, r.Now()})
}

// DropSubPort takes a port out of its trunk.
func (r *Records) DropSubPort(ctx context.Context, tx *db.Tx, portID string) error {
	return subPortRows.Delete(ctx, tx, portID)
}

// Lane is where the frames of a port pass: its trunk, the parent port and the tag.
type Lane struct {
	TrunkID string
	Parent  *network.Port
	Tag     int
	Up      bool // of the trunk
}

// LaneOf is the lane of a port that is in a trunk; nil for others.
func (r *Records) LaneOf(ctx context.Context, q db.Querier, portID string) (*Lane, error) {
	row, err := subPortRows.Get(ctx, q, portID)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := trunkRows.Get(ctx, q, row.TrunkID)
	if err != nil {
		return nil, err
	}
	parent, err := r.Ports.Find(ctx, q, t.PortID)
	return &Lane{t.ID, parent, row.SegmentationID, t.AdminStateUp}, err
}

// TrunkOf is the trunk that a port is the parent of; nil for others.
func (r *Records) TrunkOf(ctx context.Context, q db.Querier, portID string) (*network.Trunk, error) {
	items, err := r.Trunks.Where(ctx, q, Is("port_id", portID))
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return items[0], nil
}

// anyTrunk tells whether there are trunks: in most clouds there are none.
func (r *Records) anyTrunk(ctx context.Context, tx *db.Tx) (bool, error) {
	return r.trunked.Get(tx, struct{}{}, func() (bool, error) {
		some, err := trunkRows.List(ctx, tx, listing.Query{Limit: 1})
		return len(some) > 0, err
	})
}

// followParent gives the ports in a trunk the status of their parent.
func (r *Records) followParent(ctx context.Context, tx *db.Tx, parentID string, status network.PortStatus) error {
	if any, err := r.anyTrunk(ctx, tx); err != nil || !any {
		return err
	}
	t, err := r.TrunkOf(ctx, tx, parentID)
	if err != nil || t == nil {
		return err
	}
	for _, sub := range t.SubPorts {
		if err := portRows.Set(ctx, tx, sub.PortID, map[string]any{"status": string(status), "updated_at": r.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// endTrunk takes a port that goes away out of its trunk, or ends the trunk
// that it is the parent of.
func (r *Records) endTrunk(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if p.DeviceOwner == network.OwnerSubPort {
		if err := r.DropSubPort(ctx, tx, p.ID); !fault.Is(err, fault.NotFound) {
			return err
		}
		return nil
	}
	t, err := r.TrunkOf(ctx, tx, p.ID)
	if err != nil || t == nil {
		return err
	}
	for _, sub := range t.SubPorts {
		if err := r.DropSubPort(ctx, tx, sub.PortID); err != nil {
			return err
		}
		if err := portRows.Set(ctx, tx, sub.PortID, map[string]any{"status": string(network.PortDown), "device_owner": "", "updated_at": r.Now()}); err != nil {
			return err
		}
		r.Changed(tx, network.PortScope(sub.PortID))
	}
	return r.Trunks.Delete(ctx, tx, t.ID)
}

type forwardingRow struct {
	standard
	FloatingID    string `db:"floating_id"`
	Protocol      string `db:"protocol"`
	PortID        string `db:"port_id"`
	Fixed         string `db:"fixed_address"`
	InternalFirst int    `db:"internal_port"`
	InternalLast  int    `db:"internal_last"`
	ExternalFirst int    `db:"external_port"`
	ExternalLast  int    `db:"external_last"`
}

var forwardingRows = db.NewTable[forwardingRow]("network_forwardings", "id", "Port forwarding")

// Forwardings reads and writes the port forwardings of floating addresses.
type Forwardings = Store[forwardingRow, network.Forwarding]

func forwardings(d *db.DB) *Forwardings {
	return &Forwardings{db: d, table: forwardingRows, std: func(f *network.Forwarding) *network.Standard { return &f.Standard },
		of: (*forwardingRow).forwarding,
		row: func(f *network.Forwarding) *forwardingRow {
			return &forwardingRow{standardOf(f.Standard), f.FloatingID, f.Protocol, f.PortID, addrText(f.Fixed), f.InternalFirst, f.InternalLast, f.ExternalFirst, f.ExternalLast}
		}}
}

func (r *forwardingRow) forwarding() *network.Forwarding {
	return &network.Forwarding{Standard: r.Standard(), FloatingID: r.FloatingID, Protocol: r.Protocol, PortID: r.PortID, Fixed: addr(r.Fixed),
		InternalFirst: r.InternalFirst, InternalLast: r.InternalLast, ExternalFirst: r.ExternalFirst, ExternalLast: r.ExternalLast}
}

// dropForwardings ends those that lead to addresses a port no longer has.
func (r *Records) dropForwardings(ctx context.Context, tx *db.Tx, portID string, keep []network.FixedIP) error {
	items, err := r.Forwardings.Where(ctx, tx, Is("port_id", portID))
	for _, f := range items {
		kept := false
		for _, ip := range keep {
			kept = kept || ip.Address == f.Fixed
		}
		if kept {
			continue
		}
		if err := r.Forwardings.Delete(ctx, tx, f.ID); err != nil {
			return err
		}
		if err := r.SettleForwardings(ctx, tx, f.FloatingID); err != nil {
			return err
		}
	}
	return err
}

// SettleForwardings gives a floating address the router and status that go
// with the forwardings it has: none, no router.
func (r *Records) SettleForwardings(ctx context.Context, tx *db.Tx, floatingID string) error {
	f, err := r.Floatings.Lock(ctx, tx, floatingID)
	if err != nil {
		return err
	}
	left, err := forwardingRows.Count(ctx, tx, Is("floating_id", floatingID))
	if err != nil {
		return err
	}
	if left == 0 && f.PortID == "" {
		f.RouterID, f.Status = "", network.StatusDown
	}
	r.Changed(tx, network.FloatingScope(f.ID))
	return r.UpdateFloating(ctx, tx, f)
}

type templateRow struct {
	standard
	Direction    string `db:"direction"`
	EtherType    string `db:"ethertype"`
	Protocol     string `db:"protocol"`
	PortMin      int    `db:"port_min"`
	PortMax      int    `db:"port_max"`
	RemoteGroup  string `db:"remote_group_id"`
	RemotePrefix string `db:"remote_ip_prefix"`
	AddressGroup string `db:"address_group_id"`
	InDefault    bool   `db:"in_default"`
	InOthers     bool   `db:"in_others"`
}

var templateRows = db.NewTable[templateRow]("network_rule_templates", "id", "Default security group rule")

// Templates reads and writes the rules that new security groups begin with.
type Templates = Store[templateRow, network.RuleTemplate]

func templates(d *db.DB) *Templates {
	return &Templates{db: d, table: templateRows, std: func(t *network.RuleTemplate) *network.Standard { return &t.Standard },
		of: func(r *templateRow) *network.RuleTemplate {
			return &network.RuleTemplate{InDefault: r.InDefault, InOthers: r.InOthers, Rule: network.Rule{Standard: r.Standard(), Direction: r.Direction, EtherType: r.EtherType,
				Protocol: r.Protocol, PortMin: optional(r.PortMin), PortMax: optional(r.PortMax), RemoteGroupID: r.RemoteGroup, RemotePrefix: prefix(r.RemotePrefix),
				AddressGroupID: r.AddressGroup}}
		},
		row: func(t *network.RuleTemplate) *templateRow {
			return &templateRow{standardOf(t.Standard), t.Direction, t.EtherType, t.Protocol, orMinus(t.PortMin), orMinus(t.PortMax), t.RemoteGroupID,
				prefixText(t.RemotePrefix), t.AddressGroupID, t.InDefault, t.InOthers}
		}}
}
