package records

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
)

// Bound is what a host needs to know of a port that is bound to it.
type Bound struct {
	ID, MAC, NetworkID, ServerID, ProjectID string
	MTU                                     int
	Guarded                                 bool // its addresses are checked
	Addresses                               []netip.Addr
	MetadataID, MetadataMAC                 string // of its network's metadata port; empty: there is none
}

// BoundPorts lists the ports of a host, by id: all, or those that are named.
func (r *Records) BoundPorts(ctx context.Context, host string, ports ...string) ([]*Bound, error) {
	const columns = `SELECT p.id, p.mac_address, p.network_id, p.device_id, p.project_id, n.mtu, p.port_security, COALESCE(a.address, '')
		FROM network_ports p JOIN network_networks n ON n.id = p.network_id LEFT JOIN network_addresses a ON a.port_id = p.id WHERE `
	text, args := columns, []any(nil)
	if len(ports) > 0 {
		text, args = db.OneOf(r.DB, columns+"p.id IN (?) AND ", ports)
	}
	args = append(args, host)
	rows, err := r.DB.QueryContext(ctx, fmt.Sprintf("%sp.host = $%d AND p.host <> '' ORDER BY p.id, a.position, a.address", text, len(args)), args...)
	if err != nil {
		return nil, db.Translate(err, "list a host's ports")
	}
	defer rows.Close()
	var out []*Bound
	networks := map[string][]*Bound{}
	for rows.Next() {
		b := Bound{Addresses: []netip.Addr{}}
		var address string
		if err := rows.Scan(&b.ID, &b.MAC, &b.NetworkID, &b.ServerID, &b.ProjectID, &b.MTU, &b.Guarded, &address); err != nil {
			return nil, db.Translate(err, "read a host's ports")
		}
		if len(out) == 0 || out[len(out)-1].ID != b.ID {
			out = append(out, &b)
			networks[b.NetworkID] = append(networks[b.NetworkID], &b)
		}
		if address != "" {
			last := out[len(out)-1]
			last.Addresses = append(last.Addresses, addr(address))
		}
	}
	if err := db.Translate(rows.Err(), "read a host's ports"); err != nil || len(out) == 0 {
		return nil, err
	}
	return out, r.addMetadata(ctx, networks)
}

// networksAtOnce is how many networks are named in one statement. SQLite searches an
// index for each of a short list; a long one, which is bound as one value, it may
// take for reason to read every port that there is.
const networksAtOnce = 4

// addMetadata names the metadata ports of networks.
func (r *Records) addMetadata(ctx context.Context, networks map[string][]*Bound) error {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(networks)), networksAtOnce) {
		if err := r.addMetadataOf(ctx, some, networks); err != nil {
			return err
		}
	}
	return nil
}

func (r *Records) addMetadataOf(ctx context.Context, ids []string, networks map[string][]*Bound) error {
	text, args := metadataPorts(ids)
	rows, err := r.DB.QueryContext(ctx, text, args...)
	if err != nil {
		return db.Translate(err, "list metadata ports")
	}
	defer rows.Close()
	for rows.Next() {
		var of, id, mac string
		if err := rows.Scan(&of, &id, &mac); err != nil {
			return db.Translate(err, "read metadata ports")
		}
		for _, b := range networks[of] {
			b.MetadataID, b.MetadataMAC = id, mac
		}
	}
	return db.Translate(rows.Err(), "read metadata ports")
}

func metadataPorts(networks []string) (text string, args []any) {
	text, args = db.In("SELECT network_id, id, mac_address FROM network_ports WHERE network_id IN (?)", networks)
	args = append(args, network.OwnerMetadata)
	return fmt.Sprintf("%s AND device_owner = $%d AND ", text, len(args)) + servicePort, args
}
