package records

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

type networkRow struct {
	standard
	AdminStateUp    bool              `db:"admin_state_up"`
	Shared          bool              `db:"shared"`
	External        bool              `db:"external"`
	IsDefault       bool              `db:"is_default"`
	PortSecurity    bool              `db:"port_security"`
	MTU             int               `db:"mtu"`
	NetworkType     string            `db:"network_type"`
	PhysicalNetwork string            `db:"physical_network"`
	SegmentationID  int               `db:"segmentation_id"`
	DNSDomain       string            `db:"dns_domain"`
	QoSPolicyID     string            `db:"qos_policy_id"`
	ZoneHints       db.JSON[[]string] `db:"zone_hints"`
}

var networkRows = db.NewTable[networkRow]("network_networks", "id", "Network")

// Networks reads networks.
type Networks = Store[networkRow, network.Network]

func networks(d *db.DB) *Networks {
	return &Networks{db: d, table: networkRows, of: (*networkRow).network, fill: fillNetworks, seen: seenObjects, pseudo: map[string]string{
		Visible: sharedObjects}}
}

func (r *networkRow) network() *network.Network {
	return &network.Network{Standard: r.Standard(), AdminStateUp: r.AdminStateUp, Shared: r.Shared, External: r.External, IsDefault: r.IsDefault,
		PortSecurity: r.PortSecurity, MTU: r.MTU, NetworkType: r.NetworkType, PhysicalNetwork: r.PhysicalNetwork, SegmentationID: r.SegmentationID,
		DNSDomain: r.DNSDomain, QoSPolicyID: r.QoSPolicyID, ZoneHints: r.ZoneHints.V}
}

func networkRowOf(n *network.Network) *networkRow {
	return &networkRow{standardOf(n.Standard), n.AdminStateUp, n.Shared, n.External, n.IsDefault, n.PortSecurity, n.MTU, n.NetworkType, n.PhysicalNetwork, n.SegmentationID,
		n.DNSDomain, n.QoSPolicyID, db.J(orEmpty(n.ZoneHints))}
}

// BareNetworks loads networks without their subnets, which is all that is asked
// of them when it is about a part of them.
func (r *Records) BareNetworks(ctx context.Context, q db.Querier, ids []string) ([]*network.Network, error) {
	if len(ids) != 1 {
		return bareNetworks(ctx, q, ids)
	}
	n, err := r.BareNetwork(ctx, q, ids[0])
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return []*network.Network{n}, err
}

func bareNetworks(ctx context.Context, q db.Querier, ids []string) ([]*network.Network, error) {
	rows, err := networkRows.Find(ctx, q, OneOf("id", ids))
	if err != nil {
		return nil, err
	}
	all, err := audiences(ctx, q, ids)
	out := make([]*network.Network, len(rows))
	for i, row := range rows {
		n := row.network()
		n.SharedWith, n.ExternalTo = all[network.AccessShared][n.ID], all[network.AccessExternal][n.ID]
		out[i] = n
	}
	return out, err
}

// BareNetwork is one of BareNetworks; NotFound when there is none.
func (r *Records) BareNetwork(ctx context.Context, q db.Querier, id string) (*network.Network, error) {
	kept, err := r.bare.Get(q, id, func() (*network.Network, error) {
		found, err := bareNetworks(ctx, q, []string{id})
		if err == nil && len(found) == 0 {
			err = fault.NotFoundf("Network %s could not be found.", id)
		}
		if err != nil {
			return nil, err
		}
		return found[0], nil
	})
	if err != nil {
		return nil, err
	}
	n := *kept
	return &n, nil
}

// LockNetwork loads a network without its subnets, and keeps others from changing
// it until tx ends.
func (r *Records) LockNetwork(ctx context.Context, tx *db.Tx, id string) (*network.Network, error) {
	if tx.Engine() == db.Postgres {
		return r.Networks.LockRow(ctx, tx, id)
	}
	n, err := r.BareNetwork(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	return n, expected(ctx, id, standardOf(n.Standard))
}

func fillNetworks(ctx context.Context, q db.Querier, items []*network.Network) error {
	byID := map[string]*network.Network{}
	ids := make([]string, len(items))
	for i, n := range items {
		byID[n.ID], ids[i] = n, n.ID
	}
	rows, err := subnetRows.Find(ctx, q, OneOf("network_id", ids))
	if err != nil {
		return err
	}
	pools := map[string]string{} // scope by pool
	for _, s := range rows {
		n := byID[s.NetworkID]
		n.SubnetIDs = append(n.SubnetIDs, s.ID)
		if s.PoolID == "" {
			continue
		}
		scope, known := pools[s.PoolID]
		if !known {
			if scope, err = poolScope(ctx, q, s.PoolID); err != nil {
				return err
			}
			pools[s.PoolID] = scope
		}
		if s.IPVersion == 4 {
			n.IPv4Scope = scope
		} else {
			n.IPv6Scope = scope
		}
	}
	all, err := audiences(ctx, q, ids)
	for _, n := range items {
		n.SharedWith, n.ExternalTo = all[network.AccessShared][n.ID], all[network.AccessExternal][n.ID]
	}
	return err
}

// InsertNetwork adds a network, giving a tunnelled one a segment of its own.
func (r *Records) InsertNetwork(ctx context.Context, tx *db.Tx, n *network.Network) error {
	if err := PinPolicy(ctx, tx, "", n.QoSPolicyID); err != nil {
		return err
	}
	add := insertNetwork
	if n.NetworkType == network.TypeGeneve && n.SegmentationID == 0 {
		add = insertSomewhere
	}
	if err := add(ctx, tx, n); err != nil {
		return err
	}
	if n.Shared || n.External || len(n.ExternalTo) > 0 { // nothing is shared yet
		return r.shareNetwork(ctx, tx, n)
	}
	n.SharedWith, n.ExternalTo = nil, nil
	return nil
}

func insertNetwork(ctx context.Context, tx *db.Tx, n *network.Network) error {
	err := networkRows.Insert(ctx, tx, networkRowOf(n))
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Unable to create the flat network. Physical network %s is in use.", n.PhysicalNetwork).With("FlatNetworkInUse")
	}
	return err
}

// insertSomewhere tries segments until one is free: there are 65,536, and a count
// of those in use would look at each network.
func insertSomewhere(ctx context.Context, tx *db.Tx, n *network.Network) error {
	for range 64 {
		b := id.Bytes(2)
		n.SegmentationID = 1 + int(b[0])<<8 + int(b[1])
		added, err := networkRows.InsertUnless(ctx, tx, networkRowOf(n), "network_type, physical_network, segmentation_id")
		if err != nil || added {
			return err
		}
	}
	return fault.Conflictf("Unable to create the network. No tenant network is available for allocation.").With("NoNetworkAvailable")
}

// shareNetwork writes the policies that the flags of a network stand for.
func (r *Records) shareNetwork(ctx context.Context, tx *db.Tx, n *network.Network) error {
	if err := r.ShareWithAll(ctx, tx, network.TypeNetwork, n.Standard, network.AccessShared, n.Shared); err != nil {
		return err
	}
	if n.External && len(n.ExternalTo) > 0 { // those it is external to were chosen
		return nil
	}
	if err := r.ShareWithAll(ctx, tx, network.TypeNetwork, n.Standard, network.AccessExternal, n.External); err != nil {
		return err
	}
	all, err := audiences(ctx, tx, []string{n.ID})
	n.SharedWith, n.ExternalTo = all[network.AccessShared][n.ID], all[network.AccessExternal][n.ID]
	return err
}

// UpdateNetwork writes a network that Lock loaded.
func (r *Records) UpdateNetwork(ctx context.Context, tx *db.Tx, n *network.Network) error {
	r.Touch(&n.Standard)
	if err := PinPolicy(ctx, tx, "", n.QoSPolicyID); err != nil {
		return err
	}
	if err := networkRows.Update(ctx, tx, networkRowOf(n)); err != nil {
		return err
	}
	return r.shareNetwork(ctx, tx, n)
}

// DeleteNetwork removes the row of a network; its subnets and ports must be gone.
func (r *Records) DeleteNetwork(ctx context.Context, tx *db.Tx, networkID string) error {
	if err := dropTags(ctx, tx, networkID); err != nil {
		return err
	}
	if err := dropShares(ctx, tx, networkID); err != nil {
		return err
	}
	return networkRows.Delete(ctx, tx, networkID)
}

// tagCondition is the condition of a made-up column of tags.
func tagCondition(t listing.Term) (db.Cond, bool) {
	has := func(word string) string {
		parts := make([]string, len(t.Values))
		for i := range parts {
			parts[i] = "id IN (SELECT object FROM network_tags WHERE tag = ?)"
		}
		return "(" + strings.Join(parts, word) + ")"
	}
	text := ""
	switch t.Column {
	case AllTags:
		text = has(" AND ")
	case AnyTag:
		text = has(" OR ")
	case NotAll:
		text = "NOT " + has(" AND ")
	case NotAny:
		text = "NOT " + has(" OR ")
	}
	return db.Cond{SQL: text, Args: t.Values}, text != ""
}

type tagRow struct {
	Object string `db:"object"`
	Tag    string `db:"tag"`
}

var tagRows = db.NewTable[tagRow]("network_tags", "object", "Tag")

func dropTags(ctx context.Context, tx *db.Tx, object string) error {
	_, err := tagRows.DeleteWhere(ctx, tx, Is("object", object))
	return err
}

func addTags(ctx context.Context, tx *db.Tx, object string, tags []string) error {
	for _, t := range tags {
		if err := tagRows.Insert(ctx, tx, &tagRow{object, t}); err != nil {
			return err
		}
	}
	return nil
}

// tagged is every table whose rows have tags, by the word in the API's paths.
var tagged = map[string]interface {
	Set(ctx context.Context, tx *db.Tx, key string, values map[string]any) error
}{"networks": networkRows, "subnets": subnetRows, "ports": portRows, "routers": routerRows, "floatingips": floatingRows, "security-groups": groupRows,
	"subnetpools": poolRows, "policies": policyRows, "trunks": trunkRows, "address-groups": addressGroupRows}

// SetTags replaces the tags of a resource; kind is the word in the API's paths.
func (r *Records) SetTags(ctx context.Context, tx *db.Tx, kind, object string, revision int64, tags []string) error {
	if err := dropTags(ctx, tx, object); err != nil {
		return err
	}
	if err := addTags(ctx, tx, object, tags); err != nil {
		return err
	}
	return tagged[kind].Set(ctx, tx, object, map[string]any{"tags": db.J(tags), "revision": revision + 1, "updated_at": r.Now()})
}
