package ports

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

// DefaultGroup stands for the project's own group in a new port's groups.
const DefaultGroup = "@default"

// Service is ports behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

// Create adds ports, all or none.
func (s *Service) Create(ctx context.Context, items []*network.Port, wants [][]records.Want, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		for i, p := range items {
			if err := s.quota.Check(ctx, tx, p.ProjectID, map[string]int64{"port": 1}); err != nil {
				return err
			}
			if err := s.guard(ctx, tx, p); err != nil {
				return err
			}
			if err := s.records.MakePort(ctx, tx, p, wants[i]); err != nil {
				return err
			}
			record.Object, record.ProjectID = p.ID, p.ProjectID
			if err := outbox.Write(ctx, tx, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// guard checks a port's groups, making the default one, against its port
// security.
func (s *Service) guard(ctx context.Context, tx *db.Tx, p *network.Port) error {
	if slices.Equal(p.SecurityGroups, []string{DefaultGroup}) {
		g, err := s.records.DefaultGroup(ctx, tx, p.ProjectID)
		p.SecurityGroups = []string{g}
		return err
	}
	for _, groupID := range p.SecurityGroups {
		g, err := s.records.Groups.Find(ctx, tx, groupID)
		if fault.Is(err, fault.NotFound) || err == nil && g.ProjectID != p.ProjectID && !g.SharedWith.Includes(p.ProjectID) {
			return fault.NotFoundf("Security group %s does not exist", groupID).With("SecurityGroupNotFound")
		}
		if err != nil {
			return err
		}
	}
	if err := s.records.OneKind(ctx, tx, p.SecurityGroups); err != nil {
		return err
	}
	if p.PortSecurity {
		if p.MACLearning {
			return fault.Conflictf("Port Security must be disabled in order to learn MAC addresses behind a port.").With("PortSecurityAndMacLearning")
		}
		return nil
	}
	if len(p.SecurityGroups) > 0 {
		return fault.Conflictf("Port Security must be enabled and port must have an IP address in order to use security groups.").With("PortSecurityAndIPRequiredForSecurityGroups")
	}
	if len(p.AddressPairs) > 0 {
		return fault.Conflictf("Port Security must be enabled in order to have allowed address pairs on a port.").With("AddressPairAndPortSecurityRequired")
	}
	return nil
}

// Update changes a port. Nil wants leave its addresses.
func (s *Service) Update(ctx context.Context, portID string, change func(*network.Port) error, wants []records.Want, record event.Record) (p *network.Port, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		before, err := s.records.Ports.Lock(ctx, tx, portID)
		if err != nil {
			return err
		}
		after := *before
		p = &after
		if err := change(p); err != nil {
			return err
		}
		if err := s.checkUpdate(ctx, tx, before, p); err != nil {
			return err
		}
		if wants != nil {
			if p.FixedIPs, err = s.records.Allocate(ctx, tx, p, wants, before.FixedIPs); err != nil {
				return err
			}
			if err := s.records.Dissociate(ctx, tx, p.ID, p.FixedIPs); err != nil {
				return err
			}
		}
		if err := s.records.UpdatePort(ctx, tx, before, p); err != nil {
			return err
		}
		s.changed(tx, p)
		return outbox.Write(ctx, tx, record)
	})
	return p, err
}

func (s *Service) checkUpdate(ctx context.Context, tx *db.Tx, before, p *network.Port) error {
	if before.MAC != p.MAC {
		if p.MAC == "" {
			mac, err := s.records.PickMAC(ctx, tx, p.NetworkID)
			if err != nil {
				return err
			}
			p.MAC = mac
		}
		if before.Host != "" {
			return fault.Conflictf("Unable to complete operation on port %s, port is already bound, port type: ovs, old_mac %s, new_mac %s.", p.ID, before.MAC, p.MAC).With("PortBound")
		}
		if err := s.records.MACFree(ctx, tx, p.NetworkID, p.MAC); err != nil {
			return err
		}
	}
	if before.Host != p.Host && p.Host == "" {
		p.Status = network.PortDown
	}
	return s.guard(ctx, tx, p)
}

func (s *Service) changed(tx *db.Tx, p *network.Port) {
	s.records.Changed(tx, network.PortScope(p.ID))
	switch p.DeviceOwner {
	case network.OwnerRouterInterface, network.OwnerRouterGateway:
		s.records.Changed(tx, network.RouterScope(p.DeviceID))
	case network.OwnerMetadata:
		s.records.Changed(tx, network.NetworkScope(p.NetworkID))
	}
}

// Delete removes a port; Conflict for those that this service made for others.
func (s *Service) Delete(ctx context.Context, portID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Ports.Lock(ctx, tx, portID)
		if err != nil {
			return err
		}
		if reserved(p.DeviceOwner) {
			return fault.Conflictf("Port %s cannot be deleted directly via the port API: has device owner %s.", p.ID, p.DeviceOwner).With("ServicePortInUse")
		}
		if err := s.untrunked(ctx, tx, p); err != nil {
			return err
		}
		if err := s.records.RemovePort(ctx, tx, p); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// untrunked refuses to delete a port that is part of a trunk.
func (s *Service) untrunked(ctx context.Context, tx *db.Tx, p *network.Port) error {
	lane, err := s.records.LaneOf(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	if lane != nil {
		return fault.Conflictf("Port %s is currently a subport for trunk %s.", p.ID, lane.TrunkID).With("PortInUseAsSubPort")
	}
	t, err := s.records.TrunkOf(ctx, tx, p.ID)
	if err == nil && t != nil {
		err = fault.Conflictf("Port %s is currently a parent port for trunk %s.", p.ID, t.ID).With("PortInUseAsTrunkParent")
	}
	return err
}
