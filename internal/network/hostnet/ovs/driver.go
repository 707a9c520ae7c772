package ovs

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// The keys in external_ids of an interface.
const (
	idIface = "iface-id" // the logical port, read by OVN
	idPort  = "mek:port"
	idIndex = "mek:ifindex" // of the tap that was joined
	idMeta  = "mek:meta"    // the number that stands for the port to metadata
	idPatch = "mek:patch"   // the metadata port a patch belongs to
	idWired = "ovn-installed"
	idOpen  = "mek:unguarded" // port security is off
	idCaps  = "mek:caps"      // of what it sends, if they are the port's own
)

// Driver is a hostnet.Driver on Open vSwitch.
type Driver struct {
	cfg     Config
	db      *database
	changed chan struct{}

	stop context.CancelFunc
	work sync.WaitGroup

	sealMu sync.Mutex
	sealed map[string]int // taps by name, with their index

	guardMu sync.Mutex // one writer of guards at a time
	guarded flows      // that were written; nil: whatever there is

	metadataMu    sync.Mutex
	metadataPorts []hostnet.Port // of the last Metadata
	led           flows          // of the metadata bridge that were written; nil: whatever there is

	mu      sync.RWMutex
	numbers map[string]uint32     // of ports, for metadata
	ingress map[netip.Addr]string // ports by the address that stands for them
	meters  map[string]uint32     // first meter of ports
	caps    map[string]hostnet.Caps
}

// Open connects to the host's switch, which must be running, and sets the
// host up: bridges, links, addresses, forwarding. Opening again changes nothing.
func Open(ctx context.Context, cfg Config) (*Driver, error) {
	if len(cfg.Hash) < 4 {
		return nil, fault.Invalidf("the cloud's hash is too short")
	}
	d := &Driver{cfg: cfg, changed: make(chan struct{}, 1), numbers: map[string]uint32{}, ingress: map[netip.Addr]string{}, sealed: map[string]int{},
		meters: map[string]uint32{}, caps: map[string]hostnet.Caps{}}
	db, err := openDatabase(ctx, cfg.Endpoint, d.poke)
	if err != nil {
		return nil, err
	}
	d.db = db
	if err := d.setUp(ctx); err != nil {
		db.client.Close()
		return nil, err
	}
	d.recall()
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	d.work.Go(func() { d.watchSwitch(life) })
	d.work.Go(func() { d.keepGuard(life) })
	return d, nil
}

// Close ends the connection; ports go on.
func (d *Driver) Close() {
	d.stop()
	d.work.Wait()
	d.db.client.Close()
}

func (d *Driver) poke() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Changed tells of changes of the switch's database.
func (d *Driver) Changed() <-chan struct{} { return d.changed }

func (d *Driver) tap(portID string) string { return hostnet.TapName(d.cfg.Hash, portID) }

// OpenTap opens the guest's end of a port.
func (d *Driver) OpenTap(_ context.Context, portID string) (*os.File, error) {
	if !linkExists(d.tap(portID)) {
		return nil, fault.NotFoundf("port %s is not on this host", portID)
	}
	return openTap(d.tap(portID), !d.cfg.Userspace)
}

// Wired waits until the switch forwards for a port.
func (d *Driver) Wired(ctx context.Context, portID string) error {
	return d.db.await(ctx, func() bool {
		row, joined := d.db.iface(d.tap(portID))
		return joined && wired(row) && linkExists(row.Name)
	})
}

// Inventory lists the ports of this cloud that are in the switch, and taps
// that were made and not joined.
func (d *Driver) Inventory(context.Context) ([]hostnet.State, error) {
	rows := d.db.interfaces(isPort)
	links, taps, err := tapLinks(d.cfg.prefix())
	if err != nil {
		return nil, err
	}
	out := make([]hostnet.State, 0, len(rows))
	for _, i := range rows {
		out = append(out, hostnet.State{ID: i.External[idPort], Tap: i.Name, Wired: wired(i) && links[i.Name]})
		delete(taps, i.Name)
	}
	for name := range taps { // an agent died in between; the name holds only the beginning of the port's id, which is enough to remove it
		out = append(out, hostnet.State{ID: strings.TrimPrefix(name, d.cfg.prefix()), Tap: name})
	}
	return out, nil
}
