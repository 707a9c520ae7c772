package hostnet

import (
	"context"
	"net/netip"
	"os"
	"strings"
)

// Port is one port as a host should have it: the body of section Ports is a
// Document. It is rendered by the server.
type Port struct {
	ID          string       `json:"id"`
	MAC         string       `json:"mac"`
	MTU         int          `json:"mtu"` // bytes
	NetworkID   string       `json:"network_id"`
	Addresses   []netip.Addr `json:"addresses"`
	ServerID    string       `json:"server_id"` // whose metadata is answered on this port
	ProjectID   string       `json:"project_id"`
	MetadataID  string       `json:"metadata_id,omitempty"` // the network's metadata port; empty: no metadata on this network
	MetadataMAC string       `json:"metadata_mac,omitempty"`
	Unguarded   bool         `json:"unguarded,omitempty"` // port security is off: it may say it is a router
}

// Document is the body of section Ports of a host.
type Document struct {
	Ports []Port `json:"ports"` // ordered by id
}

// State is a port as it is on the host.
type State struct {
	ID    string
	Tap   string // name of the link
	Wired bool   // the switch forwards for it: the logical port is bound here and its flows are in
}

// Caps is what may pass a port each second, and at once. Zeros: for what the
// guest sends, what the host holds all ports to; for what it is sent, any.
type Caps struct {
	OutBytes, OutBurst       int64 // from the guest
	InBytes, InPeak, InBurst int64 // to the guest; up to the burst at the peak
}

// Driver keeps ports on one host. Safe for concurrent use; calls for one port
// must not overlap. Every method is idempotent.
type Driver interface {
	// Ensure makes taps and joins them to the switch, all ports together: what
	// a change of the host costs does not grow with their number. It does not
	// wait until the switch forwards: see Changed. A tap that somebody deleted
	// and made again is joined anew. The answer has an error for each port, by
	// its id, that is not there.
	Ensure(ctx context.Context, ports []Port) map[string]error
	// Remove takes ports off the switch and deletes their taps; fine when absent.
	Remove(ctx context.Context, portIDs ...string) error
	// OpenTap opens the guest's end of the port's tap, to be passed to the
	// guest's process; the caller closes it. NotFound: no such port here.
	OpenTap(ctx context.Context, portID string) (*os.File, error)
	// Inventory lists all ports of this cloud on the host, desired or not.
	Inventory(ctx context.Context) ([]State, error)
	// Changed delivers a token after a port's Wired may have changed. It
	// carries no data and is never closed.
	Changed() <-chan struct{}
	// Metadata replaces the ways from ports to the metadata listener. Ports
	// without MetadataID are left out.
	Metadata(ctx context.Context, ports []Port) error
	// Ingress tells which port a connection to the metadata listener came
	// from, by its peer address alone.
	Ingress(peer netip.Addr) (portID string, ok bool)
}

// Change is one thing the driver is about to do to the host, so that it can be
// undone when the cloud is uninstalled.
type Change struct {
	Kind   string // "link", "sysctl", "nft-table", "bridge"
	Name   string // of the link, the sysctl key, the nft table, ...
	Before string // what it was; empty: it was not there
}

// Ledger remembers changes of the host. Record MUST be durable when it
// returns, and may be told the same change again.
type Ledger interface {
	Record(ctx context.Context, changes ...Change) error
	// Forget says that recorded things are gone again; one never recorded is fine.
	Forget(ctx context.Context, kind string, names ...string) error
}

// maxLink is the longest name a link may have.
const maxLink = 15

// TapName is the name of a port's tap in a cloud; hash is the cloud's, of
// which four characters are used.
func TapName(hash, portID string) string {
	name := "mk" + hash[:min(4, len(hash))] + strings.ReplaceAll(portID, "-", "")
	return name[:min(maxLink, len(name))]
}
