package records

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

type bindingRow struct {
	ID       string `db:"id"`
	PortID   string `db:"port_id"`
	Host     string `db:"host"`
	VNICType string `db:"vnic_type"`
	Profile  string `db:"profile"`
	Bound    bool   `db:"bound"`
}

var bindingRows = db.NewTable[bindingRow]("network_bindings", "id", "Port binding")

func bindingID(portID, host string) string { return portID + "/" + host }

// Inactive lists the inactive bindings of a port, by host.
func (r *Records) Inactive(ctx context.Context, q db.Querier, portID string) ([]*network.HostBinding, error) {
	rows, err := bindingRows.List(ctx, q, listing.Query{Where: []listing.Term{Is("port_id", portID)}, Order: []listing.Order{{Column: "host"}}})
	out := make([]*network.HostBinding, len(rows))
	for i, row := range rows {
		out[i] = &network.HostBinding{PortID: row.PortID, Host: row.Host, VNICType: row.VNICType, Profile: row.Profile, Bound: row.Bound}
	}
	return out, err
}

// InsertInactive adds an inactive binding; Conflict: there is one of that host.
func (r *Records) InsertInactive(ctx context.Context, tx *db.Tx, b network.HostBinding) error {
	return bindingRows.Insert(ctx, tx, &bindingRow{bindingID(b.PortID, b.Host), b.PortID, b.Host, b.VNICType, b.Profile, b.Bound})
}

// DropInactive removes an inactive binding, and tells whether there was one.
func (r *Records) DropInactive(ctx context.Context, tx *db.Tx, portID, host string) (bool, error) {
	n, err := bindingRows.DeleteWhere(ctx, tx, Is("id", bindingID(portID, host)))
	return n > 0, err
}
