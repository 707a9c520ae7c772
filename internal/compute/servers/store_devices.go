package servers

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

// diskState is how far a disk is attached.
type diskState string

const (
	diskPlanned   diskState = "planned"   // part of a server that is being made
	diskAttaching diskState = "attaching" // to a server that exists
	diskAttached  diskState = "attached"
	diskDetaching diskState = "detaching"
)

// Disk is a block device mapping: a disk that a server has, or is getting.
type Disk struct {
	ID       string // of the attachment
	Server   string
	Position int // 0 is the root disk
	State    diskState
	Defined  bool // part of what the host should have

	GuestID     string // its name in the guest.Spec
	Kind        guest.DiskKind
	Bus         guest.Bus
	SizeGiB     int
	SwapMiB     int
	ImageID     string
	ImageFormat string
	VolumeID    string
	BootIndex   int // 1 is tried first; 0: not booted from
	DeviceName  string
	Tag         string
	Shared      bool     `json:",omitempty"` // a volume that other servers may have too
	Layers      []string `json:",omitempty"` // guest.Disk.Layers: one per resize on the same host
	From        string   `json:",omitempty"` // guest.Disk.From: it came from another host

	DeleteOnTermination bool
	Rescue              rescueKind `json:",omitempty"` // the disk is there to rescue the others with
	// What becomes a volume of the server's own; empty when the user brought it.
	Make *VolumeSource `json:",omitempty"`
}

// VolumeSource says what a volume is made of that is made with its server.
type VolumeSource struct {
	ImageID, SnapshotID, Type, Name string
	SizeGiB                         int
}

// own tells whether a disk is the guest's own, not a volume.
func (d *Disk) own() bool { return d.VolumeID == "" && d.Make == nil }

// ownImage is the size of a disk that the guest's host makes of an image, in GiB; 0: it is another.
func (d *Disk) ownImage() int {
	if d.Kind != guest.DiskImage {
		return 0
	}
	return d.SizeGiB
}

type diskRow struct {
	ID       string        `db:"id"`
	Server   string        `db:"server"`
	Position int           `db:"position"`
	VolumeID string        `db:"volume_id"`
	ImageID  string        `db:"image_id"`
	State    string        `db:"state"`
	Defined  bool          `db:"defined"`
	Data     db.JSON[Disk] `db:"data"`
}

// NIC is a card that a server has, or is getting.
type NIC struct {
	PortID   string
	Server   string
	Position int
	Defined  bool

	Plan  network.PlannedPort
	Facts network.Interface // as the network said when the port was made
}

type nicRow struct {
	PortID    string       `db:"port_id"`
	Server    string       `db:"server"`
	Position  int          `db:"position"`
	NetworkID string       `db:"network_id"`
	Addresses string       `db:"addresses"`
	Defined   bool         `db:"defined"`
	Data      db.JSON[NIC] `db:"data"`
}

var (
	diskRows = db.NewTable[diskRow]("compute_disks", "id", "Volume attachment")
	nicRows  = db.NewTable[nicRow]("compute_nics", "port_id", "Interface")
)

func putDisk(ctx context.Context, tx *db.Tx, d *Disk) error {
	return diskRows.Upsert(ctx, tx, &diskRow{d.ID, d.Server, d.Position, d.VolumeID, d.ImageID, string(d.State), d.Defined, db.J(*d)})
}

// keepDisk writes a disk back that was read in the same transaction.
func keepDisk(ctx context.Context, tx *db.Tx, d *Disk) error {
	return kept(diskRows.Set(ctx, tx, d.ID, map[string]any{"state": string(d.State), "defined": d.Defined, "data": db.J(*d)}))
}

// kept is what became of writing back a device: one that is gone meanwhile stays so.
func kept(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

func dropDisk(ctx context.Context, tx *db.Tx, id string) error {
	_, err := diskRows.DeleteWhere(ctx, tx, eq("id", id))
	return err
}

// getDisk loads a disk; NotFound when the server has it no more.
func getDisk(ctx context.Context, q db.Querier, id string) (*Disk, error) {
	r, err := diskRows.Get(ctx, q, id)
	if err != nil {
		return nil, err
	}
	return &r.Data.V, nil
}

// disksOf loads the disks of servers in their order, by server.
func disksOf(ctx context.Context, q db.Querier, servers ...string) (map[string][]*Disk, error) {
	rows, err := diskRows.List(ctx, q, listing.Query{Where: []listing.Term{in("server", servers)}, Order: []listing.Order{{Column: "position"}}})
	return byServer(rows), err
}

func byServer(rows []*diskRow) map[string][]*Disk {
	out := map[string][]*Disk{}
	for _, r := range rows {
		out[r.Server] = append(out[r.Server], &r.Data.V)
	}
	return out
}

// volumesOf is disksOf for those that are volumes.
func volumesOf(ctx context.Context, q db.Querier, servers ...string) (map[string][]*Disk, error) {
	const volumes = "volume_id <> ''" // the words are those of an index
	rows, err := diskRows.List(ctx, q, listing.Query{Where: []listing.Term{in("server", servers)}, Order: []listing.Order{{Column: "position"}}}, db.Cond{SQL: volumes})
	return byServer(rows), err
}

// volumeUsers loads the disks that are a volume, on whatever server.
func volumeUsers(ctx context.Context, q db.Querier, volume string) ([]*Disk, error) {
	rows, err := diskRows.Find(ctx, q, eq("volume_id", volume))
	out := make([]*Disk, 0, len(rows))
	for _, r := range rows {
		out = append(out, &r.Data.V)
	}
	return out, err
}

func putNIC(ctx context.Context, tx *db.Tx, n *NIC) error {
	return nicRows.Upsert(ctx, tx, &nicRow{n.PortID, n.Server, n.Position, n.Plan.NetworkID, n.fixed(), n.Defined, db.J(*n)})
}

// keepNIC writes a card back that was read in the same transaction.
func keepNIC(ctx context.Context, tx *db.Tx, n *NIC) error {
	return kept(nicRows.Set(ctx, tx, n.PortID, map[string]any{"addresses": n.fixed(), "defined": n.Defined, "data": db.J(*n)}))
}

// fixed lists the fixed addresses, between blanks.
func (n *NIC) fixed() string {
	var out []string
	for _, a := range n.Facts.Addresses {
		if !a.Floating {
			out = append(out, a.Address)
		}
	}
	return strings.Join(out, " ")
}

func dropNIC(ctx context.Context, tx *db.Tx, port string) error {
	_, err := nicRows.DeleteWhere(ctx, tx, eq("port_id", port))
	return err
}

func getNIC(ctx context.Context, q db.Querier, server, port string) (*NIC, error) {
	r, err := nicRows.One(ctx, q, eq("port_id", port), eq("server", server))
	if err != nil {
		return nil, err
	}
	return &r.Data.V, nil
}

// nicsOf loads the cards of servers in their order, by server.
func nicsOf(ctx context.Context, q db.Querier, servers ...string) (map[string][]*NIC, error) {
	rows, err := nicRows.List(ctx, q, listing.Query{Where: []listing.Term{in("server", servers)}, Order: []listing.Order{{Column: "position"}}})
	out := map[string][]*NIC{}
	for _, r := range rows {
		out[r.Server] = append(out[r.Server], &r.Data.V)
	}
	return out, err
}

// addressed finds the servers that have a fixed address which match accepts.
func addressed(ctx context.Context, q db.Querier, match func(address string) bool) ([]any, error) {
	rows, err := nicRows.Find(ctx, q)
	var out []any
	for _, r := range rows {
		for _, a := range strings.Fields(r.Addresses) {
			if match(a) {
				out = append(out, r.Server)
			}
		}
	}
	return out, err
}

func in(column string, values []string) listing.Term {
	t := listing.Term{Column: column, Op: listing.In}
	for _, v := range values {
		t.Values = append(t.Values, v)
	}
	return t
}

func isGone(err error) bool { return fault.Is(err, fault.NotFound) }

// usesImage tells whether a server placed on a host has a disk made from an image.
func usesImage(ctx context.Context, q db.Querier, host, imageID string) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM compute_disks d JOIN compute_servers s ON s.id = d.server
		WHERE s.host = $1 AND d.image_id = $2`, host, imageID).Scan(&n)
	return n > 0, db.Translate(err, "ask who uses an image")
}
