package hosts

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/records"
)

// Hosts renders and observes section Ports.
type Hosts struct{ records *records.Records }

// New makes it.
func New(r *records.Records) *Hosts { return &Hosts{r} }

// Render is the hostlink.Renderer of section Ports.
func (h *Hosts) Render(ctx context.Context, host string) (any, int64, error) {
	revision, err := hoststate.Revision(ctx, h.records.DB, host, network.PortsSection)
	if err != nil {
		return nil, 0, err
	}
	doc, err := h.document(ctx, host)
	return doc, revision, err
}

// RenderSome is the hostlink.Part of section Ports.
func (h *Hosts) RenderSome(ctx context.Context, host string, ports []string) (any, error) {
	if len(ports) == 0 {
		return hostnet.Document{Ports: []hostnet.Port{}}, nil
	}
	return h.document(ctx, host, ports...)
}

func (h *Hosts) document(ctx context.Context, host string, which ...string) (hostnet.Document, error) {
	ports, err := h.records.BoundPorts(ctx, host, which...)
	doc := hostnet.Document{Ports: make([]hostnet.Port, len(ports))}
	for i, p := range ports {
		doc.Ports[i] = hostnet.Port{ID: p.ID, MAC: p.MAC, MTU: p.MTU, NetworkID: p.NetworkID, Addresses: p.Addresses, ServerID: p.ServerID, ProjectID: p.ProjectID,
			Unguarded: !p.Guarded, MetadataID: p.MetadataID, MetadataMAC: p.MetadataMAC}
	}
	slices.SortFunc(doc.Ports, func(a, b hostnet.Port) int { return strings.Compare(a.ID, b.ID) }) // databases have orders of their own
	return doc, err
}

var statusOf = map[hostlink.Phase]network.PortStatus{
	hostlink.Pending: network.PortDown, hostlink.Ready: network.PortActive, hostlink.Failed: network.PortError, hostlink.Absent: network.PortDown,
	hostlink.Quarantined: network.PortDown,
}

// fewObjects is how many a report lists at most for them to be asked for by name.
const fewObjects = 20

// Observe is the hostlink.Observer of section Ports: it writes the statuses
// that differ.
func (h *Hosts) Observe(ctx context.Context, r hostlink.Report) error {
	if len(r.Objects) == 0 {
		return nil
	}
	var which []string
	if len(r.Objects) <= fewObjects {
		for _, o := range r.Objects {
			which = append(which, o.ID)
		}
	}
	bound, err := h.records.BoundTo(ctx, r.Host, which...)
	if err != nil {
		return err
	}
	now := map[string]network.PortStatus{}
	for _, o := range r.Objects {
		now[o.ID] = statusOf[o.Phase]
	}
	differ := map[string]network.PortStatus{}
	for portID, was := range bound {
		if status, known := now[portID]; known && status != was {
			differ[portID] = status
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return h.records.DB.Write(ctx, func(tx *db.Tx) error {
		var failed []error
		for portID, status := range differ {
			failed = append(failed, h.records.SetStatus(ctx, tx, r.Host, portID, status))
		}
		return errors.Join(failed...)
	})
}
