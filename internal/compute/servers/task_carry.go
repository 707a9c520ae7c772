package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/network"
)

// carryTo takes a server's cards and volumes to a host. The guest that had
// them elsewhere has let go of them, or its host is known to be gone.
func (s *Servers) carryTo(ctx context.Context, serverID, host string) error {
	disks, nics, err := s.devices(ctx, s.DB, serverID)
	if err != nil {
		return err
	}
	for _, d := range disks {
		if d.VolumeID == "" {
			continue
		}
		if err := s.Volumes.Disconnect(ctx, d.ID, host); err != nil {
			return err
		}
		if _, err := s.Volumes.Connect(ctx, d.ID, host); err != nil {
			return err
		}
	}
	bound, err := s.rebind(ctx, nics, host)
	if err != nil || !s.Agents.Alive(host) {
		return err // an undo towards a host that is away: it makes them when it is back
	}
	return s.awaitBound(ctx, bound)
}

// rebind gives cards to a host, whichever has them; those whose ports are gone
// have nothing to give.
func (s *Servers) rebind(ctx context.Context, nics []*NIC, host string) ([]network.Binding, error) {
	var bound []network.Binding
	for _, n := range nics {
		b, err := s.Networks.Bind(ctx, n.PortID, host)
		if fault.Is(err, fault.Conflict) { // it is bound to the other host
			if err = s.Networks.Unbind(ctx, n.PortID); err == nil {
				b, err = s.Networks.Bind(ctx, n.PortID, host)
			}
		}
		if fault.Is(err, fault.NotFound) {
			continue // its user deleted it: the card is taken away afterwards
		}
		if err != nil {
			return nil, err
		}
		bound = append(bound, b)
	}
	return bound, nil
}

// carryBack notes that cards are with a host that is down. Volumes that had
// begun to leave it are connected again when the server is started there.
func (s *Servers) carryBack(ctx context.Context, serverID, host string) error {
	nics, err := nicsOf(ctx, s.DB, serverID)
	if err != nil {
		return err
	}
	_, err = s.rebind(ctx, nics[serverID], host)
	return err
}

// diskSource names the copy of a disk that is made for a move (guest.Disk.From).
func diskSource(migrationID, disk string) string {
	return compute.DiskSourcePrefix + migrationID + "/" + disk
}

// Stream gives the bytes of a disk to the host that its server moves to, and to
// no other (hostlink's handler of compute.DiskStreamKind).
func (s *Servers) Stream(ctx context.Context, host string, raw json.RawMessage) (io.ReadWriteCloser, error) {
	var in image.StreamParams
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fault.Invalidf("the parameters of a disk's transfer cannot be read").Because(err)
	}
	mid, disk, ok := strings.Cut(strings.TrimPrefix(in.ID, compute.DiskSourcePrefix), "/")
	row, err := migrationRows.Get(ctx, s.DB, mid)
	if err != nil {
		return nil, err
	}
	m := row.Data.V
	if !ok || m.DestHost != host || m.Before == nil {
		return nil, fault.NotFoundf("there is no such disk")
	}
	for _, d := range m.Before.Disks {
		if d.GuestID == disk {
			return s.openCopy(ctx, &m, d, in.ID)
		}
	}
	return nil, fault.NotFoundf("there is no such disk")
}

func (s *Servers) openCopy(ctx context.Context, m *migration, d *Disk, name string) (io.ReadWriteCloser, error) {
	from, err := s.Agents.Open(ctx, m.SourceHost, "snapshot", map[string]string{"id": m.Server, "name": copyName(m.ID, d)})
	if err != nil {
		return nil, err
	}
	var head bytes.Buffer
	err = image.WriteHead(&head, image.StreamHead{ID: name, Format: image.QCOW2, Size: m.Copies[d.GuestID]})
	return prefixed{io.MultiReader(&head, from), from}, err
}

// prefixed is a stream that is only read, with something before it.
type prefixed struct {
	io.Reader
	from io.ReadWriteCloser
}

// Write refuses.
func (prefixed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Close ends the transfer.
func (p prefixed) Close() error { return p.from.Close() }
