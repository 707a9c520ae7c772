// Package sim keeps ports in memory: a host's end of networks for tests and
// scale runs. Nothing forwards; a port is wired as soon as it is there. It is
// chosen by name only, and its host says "sim".
package sim

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// Driver is one simulated host's ports. Safe for concurrent use.
type Driver struct {
	mu      sync.Mutex
	ports   map[string]hostnet.Port
	changed chan struct{}
}

var _ hostnet.Driver = (*Driver)(nil)

// New makes a host without ports.
func New() *Driver {
	return &Driver{ports: map[string]hostnet.Port{}, changed: make(chan struct{}, 1)}
}

// Ensure keeps the ports; they are wired at once.
func (d *Driver) Ensure(_ context.Context, ports []hostnet.Port) map[string]error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range ports {
		d.ports[p.ID] = p
	}
	select {
	case d.changed <- struct{}{}:
	default: // a token is waiting already
	}
	return nil
}

// Remove forgets the ports.
func (d *Driver) Remove(_ context.Context, portIDs ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, portID := range portIDs {
		delete(d.ports, portID)
	}
	return nil
}

// OpenTap is refused: there is no tap behind a simulated port.
func (d *Driver) OpenTap(context.Context, string) (*os.File, error) {
	return nil, fault.New(fault.NotImplemented, "simulated ports have no taps")
}

// Inventory lists the ports in the order of their ids.
func (d *Driver) Inventory(context.Context) ([]hostnet.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]hostnet.State, 0, len(d.ports))
	for portID := range d.ports {
		out = append(out, hostnet.State{ID: portID, Wired: true})
	}
	slices.SortFunc(out, func(a, b hostnet.State) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Changed delivers a token after ports were added.
func (d *Driver) Changed() <-chan struct{} { return d.changed }

// Metadata has nothing to lead anywhere.
func (d *Driver) Metadata(context.Context, []hostnet.Port) error { return nil }

// Ingress knows no connection: none can come from a simulated port.
func (d *Driver) Ingress(netip.Addr) (string, bool) { return "", false }
