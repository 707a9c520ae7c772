package records

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/network"
)

type routerRow struct {
	standard
	AdminStateUp   bool                         `db:"admin_state_up"`
	GatewayNetwork string                       `db:"gateway_network_id"`
	GatewayPort    string                       `db:"gateway_port_id"`
	EnableSNAT     bool                         `db:"enable_snat"`
	Routes         db.JSON[[]network.HostRoute] `db:"routes"`
	GatewayPolicy  string                       `db:"gateway_qos_policy_id"`
	ZoneHints      db.JSON[[]string]            `db:"zone_hints"`
}

var routerRows = db.NewTable[routerRow]("network_routers", "id", "Router")

// Routers reads routers with the addresses of their gateways.
type Routers = Store[routerRow, network.Router]

func routers(d *db.DB) *Routers {
	return &Routers{db: d, table: routerRows, of: (*routerRow).router, fill: fillRouters, pseudo: map[string]string{Visible: "project_id = ?"}}
}

func (r *routerRow) router() *network.Router {
	out := &network.Router{Standard: r.Standard(), AdminStateUp: r.AdminStateUp, Routes: r.Routes.V, ZoneHints: r.ZoneHints.V}
	if r.GatewayNetwork != "" {
		out.Gateway = &network.Gateway{NetworkID: r.GatewayNetwork, EnableSNAT: r.EnableSNAT, PortID: r.GatewayPort, QoSPolicyID: r.GatewayPolicy}
	}
	return out
}

func routerRowOf(r *network.Router) *routerRow {
	row := &routerRow{standard: standardOf(r.Standard), AdminStateUp: r.AdminStateUp, EnableSNAT: true, Routes: db.J(orEmpty(r.Routes)), ZoneHints: db.J(orEmpty(r.ZoneHints))}
	if g := r.Gateway; g != nil {
		row.GatewayNetwork, row.GatewayPort, row.EnableSNAT, row.GatewayPolicy = g.NetworkID, g.PortID, g.EnableSNAT, g.QoSPolicyID
	}
	return row
}

func fillRouters(ctx context.Context, q db.Querier, items []*network.Router) error {
	byPort := map[string]*network.Router{}
	var ids []string
	for _, r := range items {
		if r.Gateway != nil {
			byPort[r.Gateway.PortID] = r
			ids = append(ids, r.Gateway.PortID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := addressRows.Find(ctx, q, OneOf("port_id", ids))
	for _, a := range rows {
		g := byPort[a.PortID].Gateway
		g.FixedIPs = append(g.FixedIPs, network.FixedIP{SubnetID: a.SubnetID, Address: addr(a.Address)})
	}
	return err
}

// InsertRouter adds a router.
func (r *Records) InsertRouter(ctx context.Context, tx *db.Tx, router *network.Router) error {
	return routerRows.Insert(ctx, tx, routerRowOf(router))
}

// UpdateRouter writes a router that Lock loaded.
func (r *Records) UpdateRouter(ctx context.Context, tx *db.Tx, router *network.Router) error {
	r.Touch(&router.Standard)
	return routerRows.Update(ctx, tx, routerRowOf(router))
}

// DeleteRouter removes the row of a router; its ports must be gone.
func (r *Records) DeleteRouter(ctx context.Context, tx *db.Tx, routerID string) error {
	if err := dropTags(ctx, tx, routerID); err != nil {
		return err
	}
	return routerRows.Delete(ctx, tx, routerID)
}

// InterfacesOf loads the inner ports of a router.
func (r *Records) InterfacesOf(ctx context.Context, q db.Querier, routerID string) ([]*network.Port, error) {
	return r.Ports.Where(ctx, q, Is("device_id", routerID), Is("device_owner", network.OwnerRouterInterface))
}

// RouterTo is the router that leads from an external network to a subnet;
// empty: none does.
func (r *Records) RouterTo(ctx context.Context, q db.Querier, subnetID, externalID string) (string, error) {
	inner, err := r.Ports.Where(ctx, q, Is("device_owner", network.OwnerRouterInterface), Is(OnSubnet, subnetID))
	if err != nil {
		return "", err
	}
	for _, leg := range inner {
		router, err := r.Routers.Find(ctx, q, leg.DeviceID)
		if err != nil {
			return "", err
		}
		if router.Gateway != nil && router.Gateway.NetworkID == externalID {
			return router.ID, nil
		}
	}
	return "", nil
}

type floatingRow struct {
	ID          string            `db:"id"`
	ProjectID   string            `db:"project_id"`
	Description string            `db:"description"`
	Revision    int64             `db:"revision"`
	CreatedAt   int64             `db:"created_at"`
	UpdatedAt   int64             `db:"updated_at"`
	Tags        db.JSON[[]string] `db:"tags"`
	NetworkID   string            `db:"network_id"`
	OwnPort     string            `db:"own_port_id"`
	Address     string            `db:"address"`
	PortID      string            `db:"port_id"`
	Fixed       string            `db:"fixed_address"`
	RouterID    string            `db:"router_id"`
	Status      string            `db:"status"`
	DNSName     string            `db:"dns_name"`
	DNSDomain   string            `db:"dns_domain"`
	QoSPolicyID string            `db:"qos_policy_id"`
}

var floatingRows = db.NewTable[floatingRow]("network_floatings", "id", "Floating IP")

// Floatings reads floating addresses.
type Floatings = Store[floatingRow, network.FloatingIP]

func floatings(d *db.DB) *Floatings {
	return &Floatings{db: d, table: floatingRows, of: (*floatingRow).floating, fill: fillFloatings, pseudo: map[string]string{Visible: "project_id = ?"}}
}

func fillFloatings(ctx context.Context, q db.Querier, items []*network.FloatingIP) error {
	ids, ports := make([]string, len(items)), []string{}
	byID, byPort := map[string]*network.FloatingIP{}, map[string]*network.Port{}
	for i, f := range items {
		ids[i], byID[f.ID] = f.ID, f
		if f.PortID != "" {
			ports = append(ports, f.PortID)
		}
	}
	rows, err := forwardingRows.Find(ctx, q, OneOf("floating_id", ids))
	if err != nil {
		return err
	}
	for _, r := range rows {
		f := byID[r.FloatingID]
		f.Forwardings = append(f.Forwardings, *r.forwarding())
	}
	if len(ports) == 0 {
		return nil
	}
	found, err := portRows.Find(ctx, q, OneOf("id", ports))
	for _, p := range found {
		byPort[p.ID] = p.port()
	}
	for _, f := range items {
		f.Port = byPort[f.PortID]
	}
	return err
}

// Standard is what all resources have; a floating address has no name.
func (r *floatingRow) Standard() network.Standard {
	return network.Standard{ID: r.ID, ProjectID: r.ProjectID, Description: r.Description, Revision: r.Revision, CreatedAt: clock.FromMicros(r.CreatedAt),
		UpdatedAt: clock.FromMicros(r.UpdatedAt), Tags: r.Tags.V}
}

func (r *floatingRow) floating() *network.FloatingIP {
	return &network.FloatingIP{Standard: r.Standard(),
		NetworkID: r.NetworkID, PortOwnID: r.OwnPort, Address: addr(r.Address), PortID: r.PortID, Fixed: addr(r.Fixed), RouterID: r.RouterID, Status: r.Status,
		DNSName: r.DNSName, DNSDomain: r.DNSDomain, QoSPolicyID: r.QoSPolicyID}
}

func floatingRowOf(f *network.FloatingIP) *floatingRow {
	return &floatingRow{f.ID, f.ProjectID, f.Description, f.Revision, clock.Micros(f.CreatedAt), clock.Micros(f.UpdatedAt), db.J(orEmpty(f.Tags)),
		f.NetworkID, f.PortOwnID, f.Address.String(), f.PortID, addrText(f.Fixed), f.RouterID, f.Status, f.DNSName, f.DNSDomain, f.QoSPolicyID}
}

// InsertFloating adds a floating address.
func (r *Records) InsertFloating(ctx context.Context, tx *db.Tx, f *network.FloatingIP) error {
	if err := floatingRows.Insert(ctx, tx, floatingRowOf(f)); err != nil {
		return floatingConflict(err, f)
	}
	return r.retell(ctx, tx, f.PortID)
}

// UpdateFloating writes a floating address that Lock loaded. Conflict when the
// fixed address has one of this network already.
func (r *Records) UpdateFloating(ctx context.Context, tx *db.Tx, f *network.FloatingIP) error {
	before, err := floatingRows.Get(ctx, tx, f.ID)
	if err != nil {
		return err
	}
	r.Touch(&f.Standard)
	if err := floatingRows.Update(ctx, tx, floatingRowOf(f)); err != nil {
		return floatingConflict(err, f)
	}
	return r.retell(ctx, tx, before.PortID, f.PortID)
}

// retell has the guests behind ports told of their floating addresses, which
// their metadata shows.
func (r *Records) retell(ctx context.Context, tx *db.Tx, portIDs ...string) error {
	for _, portID := range portIDs {
		if portID == "" {
			continue
		}
		p, err := portRows.Get(ctx, tx, portID)
		if fault.Is(err, fault.NotFound) {
			continue // it goes away in this very transaction
		}
		if err != nil {
			return err
		}
		if host := p.Host; host != "" {
			revision, err := hoststate.Raise(ctx, tx, host, network.GuestsSection)
			if err != nil {
				return err
			}
			tx.AfterCommit(func() { r.watch.Guests(host, revision, p.DeviceID) })
		}
	}
	return nil
}

func floatingConflict(err error, f *network.FloatingIP) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
			f.Address, f.ID, f.PortID, f.Fixed, f.NetworkID).With("FloatingIPPortAlreadyAssociated")
	}
	return err
}

// DeleteFloating removes the row of a floating address.
func (r *Records) DeleteFloating(ctx context.Context, tx *db.Tx, floatingID string) error {
	if err := dropTags(ctx, tx, floatingID); err != nil {
		return err
	}
	before, err := floatingRows.Get(ctx, tx, floatingID)
	if err != nil {
		return err
	}
	if err := floatingRows.Delete(ctx, tx, floatingID); err != nil {
		return err
	}
	return r.retell(ctx, tx, before.PortID)
}

// Dissociate takes floating addresses off a port that goes away, or off those
// of its addresses that it no longer has.
func (r *Records) Dissociate(ctx context.Context, tx *db.Tx, portID string, keep []network.FixedIP) error {
	if err := r.dropForwardings(ctx, tx, portID, keep); err != nil {
		return err
	}
	items, err := r.Floatings.Where(ctx, tx, Is("port_id", portID))
	for _, f := range items {
		kept := false
		for _, ip := range keep {
			kept = kept || ip.Address == f.Fixed
		}
		if kept {
			continue
		}
		f.PortID, f.RouterID, f.Status = "", "", network.StatusDown
		f.Fixed = addr("")
		if err := r.UpdateFloating(ctx, tx, f); err != nil {
			return err
		}
		r.Changed(tx, network.FloatingScope(f.ID))
	}
	return err
}
