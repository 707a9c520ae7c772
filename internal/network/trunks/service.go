package trunks

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Service is trunks behind the API. Safe for concurrent use. Where a reach is
// asked for it is the project whose ports may be used; empty: all.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

// inherit asks for the segment of the subport's own network.
const inherit = "inherit"

// Create makes a port the parent of a trunk.
func (s *Service) Create(ctx context.Context, t *network.Trunk, reach string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		trunk := *t // the function may run twice
		trunk.SubPorts = nil
		if err := s.quota.Check(ctx, tx, trunk.ProjectID, map[string]int64{"trunk": 1}); err != nil {
			return err
		}
		if _, err := s.port(ctx, tx, trunk.PortID, reach); err != nil {
			return err
		}
		if err := s.free(ctx, tx, trunk.PortID); err != nil {
			return err
		}
		s.records.Begin(&trunk.Standard)
		if err := s.records.Trunks.Insert(ctx, tx, &trunk); err != nil {
			return err
		}
		if err := s.join(ctx, tx, &trunk, t.SubPorts, reach); err != nil {
			return err
		}
		return s.answer(ctx, tx, t, record)
	})
}

// answer reads a trunk as it now is.
func (s *Service) answer(ctx context.Context, tx *db.Tx, t *network.Trunk, record event.Record) error {
	fresh, err := s.records.Trunks.Find(ctx, tx, t.ID)
	if err != nil {
		return err
	}
	*t = *fresh
	return outbox.Write(ctx, tx, record)
}

func (s *Service) port(ctx context.Context, tx *db.Tx, portID, reach string) (*network.Port, error) {
	p, err := s.records.Ports.Lock(ctx, tx, portID)
	if fault.Is(err, fault.NotFound) || err == nil && reach != "" && p.ProjectID != reach {
		return nil, fault.NotFoundf("Port %s could not be found.", portID).With("PortNotFound")
	}
	return p, err
}

// free refuses a port that is in a trunk already, or is the parent of one.
func (s *Service) free(ctx context.Context, tx *db.Tx, portID string) error {
	lane, err := s.records.LaneOf(ctx, tx, portID)
	if err != nil {
		return err
	}
	if lane != nil {
		return fault.Conflictf("Port %s is in use by another trunk.", portID).With("TrunkPortInUse")
	}
	t, err := s.records.TrunkOf(ctx, tx, portID)
	if err == nil && t != nil {
		err = fault.Conflictf("Port %s is currently in use and is not eligible for use as a parent port.", portID).With("ParentPortInUse")
	}
	return err
}

// join puts ports into a trunk.
func (s *Service) join(ctx context.Context, tx *db.Tx, t *network.Trunk, more []network.SubPort, reach string) error {
	parent, err := s.records.Ports.Find(ctx, tx, t.PortID)
	if err != nil {
		return err
	}
	outer, err := s.records.Networks.Find(ctx, tx, parent.NetworkID)
	if err != nil {
		return err
	}
	have := slices.Clone(t.SubPorts)
	for _, sub := range more {
		p, err := s.port(ctx, tx, sub.PortID, reach)
		if err != nil {
			return err
		}
		if sub, err = s.fits(ctx, tx, t, p, sub, outer.MTU); err != nil {
			return err
		}
		for _, other := range have {
			if other.SegmentationType == sub.SegmentationType && other.SegmentationID == sub.SegmentationID {
				return fault.Conflictf("segmentation_type %s and segmentation_id %d already in use on trunk %s.", sub.SegmentationType, sub.SegmentationID, t.ID).With("DuplicateSubPort")
			}
		}
		have = append(have, sub)
		if err := s.records.AddSubPort(ctx, tx, t.ID, sub); err != nil {
			return err
		}
		after := *p
		after.DeviceOwner, after.Status = network.OwnerSubPort, parent.Status
		if err := s.records.UpdatePort(ctx, tx, p, &after); err != nil {
			return err
		}
		s.records.Changed(tx, network.PortScope(p.ID))
	}
	return nil
}

// fits refuses a port that cannot be in a trunk with this segment.
func (s *Service) fits(ctx context.Context, tx *db.Tx, t *network.Trunk, p *network.Port, sub network.SubPort, mtu int) (network.SubPort, error) {
	if p.ID == t.PortID {
		return sub, fault.Conflictf("Port %s is currently in use and is not eligible for use as a parent port.", p.ID).With("ParentPortInUse")
	}
	n, err := s.records.Networks.Find(ctx, tx, p.NetworkID)
	if err != nil {
		return sub, err
	}
	if n.MTU > mtu {
		return sub, fault.Conflictf("MTU %d of subport %s cannot be greater than MTU %d of trunk %s.", n.MTU, p.ID, mtu, t.ID).With("SubPortMtuGreaterThanTrunkPortMtu")
	}
	if sub.SegmentationType == inherit {
		sub.SegmentationType, sub.SegmentationID = n.NetworkType, n.SegmentationID
	}
	if sub.SegmentationType != network.TypeVLAN {
		return sub, fault.Invalidf("Invalid input for operation: Unknown segmentation_type '%s'.", sub.SegmentationType).With("InvalidInput")
	}
	if sub.SegmentationID < 1 || sub.SegmentationID > 4094 {
		return sub, fault.Invalidf("Invalid input for operation: Segmentation ID '%d' is not in range.", sub.SegmentationID).With("InvalidInput")
	}
	if err := s.free(ctx, tx, p.ID); err != nil {
		return sub, err
	}
	if p.DeviceID != "" {
		return sub, fault.Conflictf("Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.NetworkID, p.DeviceID).With("PortInUse")
	}
	return sub, nil
}

// Update changes a trunk's name, description or state.
func (s *Service) Update(ctx context.Context, trunkID string, change func(*network.Trunk), record event.Record) (t *network.Trunk, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if t, err = s.records.Trunks.Lock(ctx, tx, trunkID); err != nil {
			return err
		}
		change(t)
		if err := s.records.Trunks.Update(ctx, tx, s.records, t); err != nil {
			return err
		}
		for _, sub := range t.SubPorts {
			s.records.Changed(tx, network.PortScope(sub.PortID))
		}
		return s.answer(ctx, tx, t, record)
	})
	return t, err
}

// enabled locks a trunk whose subports may change.
func (s *Service) enabled(ctx context.Context, tx *db.Tx, trunkID string) (*network.Trunk, error) {
	t, err := s.records.Trunks.Lock(ctx, tx, trunkID)
	if err == nil && !t.AdminStateUp {
		err = fault.Conflictf("Trunk %s is currently disabled.", trunkID).With("TrunkDisabled")
	}
	return t, err
}

// Add puts ports into a trunk.
func (s *Service) Add(ctx context.Context, trunkID string, subs []network.SubPort, reach string, record event.Record) (t *network.Trunk, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if t, err = s.enabled(ctx, tx, trunkID); err != nil {
			return err
		}
		if err := s.join(ctx, tx, t, subs, reach); err != nil {
			return err
		}
		if err := s.records.Trunks.Update(ctx, tx, s.records, t); err != nil {
			return err
		}
		return s.answer(ctx, tx, t, record)
	})
	return t, err
}

// Remove takes ports out of a trunk.
func (s *Service) Remove(ctx context.Context, trunkID string, portIDs []string, record event.Record) (t *network.Trunk, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if t, err = s.enabled(ctx, tx, trunkID); err != nil {
			return err
		}
		for _, id := range portIDs {
			if !slices.ContainsFunc(t.SubPorts, func(sub network.SubPort) bool { return sub.PortID == id }) {
				return fault.NotFoundf("SubPort %s on trunk %s could not be found.", id, trunkID).With("SubPortNotFound")
			}
			if err := s.leave(ctx, tx, id); err != nil {
				return err
			}
		}
		if err := s.records.Trunks.Update(ctx, tx, s.records, t); err != nil {
			return err
		}
		return s.answer(ctx, tx, t, record)
	})
	return t, err
}

func (s *Service) leave(ctx context.Context, tx *db.Tx, portID string) error {
	p, err := s.records.Ports.Lock(ctx, tx, portID)
	if err != nil {
		return err
	}
	if err := s.records.DropSubPort(ctx, tx, portID); err != nil {
		return err
	}
	after := *p
	after.DeviceOwner, after.Status = "", network.PortDown
	s.records.Changed(tx, network.PortScope(p.ID))
	return s.records.UpdatePort(ctx, tx, p, &after)
}

// Delete ends a trunk; its ports stay.
func (s *Service) Delete(ctx context.Context, trunkID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := s.records.Trunks.Lock(ctx, tx, trunkID)
		if err != nil {
			return err
		}
		for _, sub := range t.SubPorts {
			if err := s.leave(ctx, tx, sub.PortID); err != nil {
				return err
			}
		}
		if err := s.records.Trunks.Delete(ctx, tx, trunkID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
