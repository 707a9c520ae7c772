package hosts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/listing"
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
	doc, err := h.document(ctx, records.Is("host", host))
	return doc, revision, err
}

// RenderSome is the hostlink.Part of section Ports.
func (h *Hosts) RenderSome(ctx context.Context, host string, ports []string) (any, error) {
	return h.document(ctx, records.Is("host", host), records.OneOf("id", ports))
}

func (h *Hosts) document(ctx context.Context, which ...listing.Term) (hostnet.Document, error) {
	ports, err := h.records.Ports.Where(ctx, h.records.DB, which...)
	doc := hostnet.Document{Ports: make([]hostnet.Port, 0, len(ports))}
	if err != nil {
		return doc, err
	}
	seen := map[string]about{}
	for _, p := range ports {
		a, ok := seen[p.NetworkID]
		if !ok {
			if a, err = h.about(ctx, p.NetworkID); err != nil {
				return doc, err
			}
			seen[p.NetworkID] = a
		}
		doc.Ports = append(doc.Ports, render(p, a))
	}
	slices.SortFunc(doc.Ports, func(a, b hostnet.Port) int { return strings.Compare(a.ID, b.ID) })
	return doc, nil
}

// about is what ports of one network have in common.
type about struct {
	mtu      int
	metadata *network.Port
}

func (h *Hosts) about(ctx context.Context, networkID string) (about, error) {
	n, err := h.records.Networks.Get(ctx, networkID)
	if err != nil {
		return about{}, err
	}
	meta, err := h.records.Ports.Where(ctx, h.records.DB, records.Is("network_id", networkID), records.Is("device_owner", network.OwnerMetadata))
	a := about{mtu: n.MTU}
	if len(meta) > 0 {
		a.metadata = meta[0]
	}
	return a, err
}

func render(p *network.Port, a about) hostnet.Port {
	out := hostnet.Port{ID: p.ID, MAC: p.MAC, MTU: a.mtu, NetworkID: p.NetworkID, Addresses: []netip.Addr{}, ServerID: p.DeviceID, ProjectID: p.ProjectID, Unguarded: !p.PortSecurity}
	for _, ip := range p.FixedIPs {
		out.Addresses = append(out.Addresses, ip.Address)
	}
	if a.metadata != nil {
		out.MetadataID, out.MetadataMAC = a.metadata.ID, a.metadata.MAC
	}
	return out
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
			err := h.records.SetStatus(ctx, tx, r.Host, portID, status)
			if !fault.Is(err, fault.NotFound) { // deleted meanwhile
				failed = append(failed, err)
			}
		}
		return errors.Join(failed...)
	})
}
