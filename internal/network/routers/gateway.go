package routers

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
)

// setGateway gives a router its way out, or changes it. On the same network
// the port stays, and its addresses unless others are asked for.
func (s *Service) setGateway(ctx context.Context, tx *db.Tx, r *network.Router, want Gateway) error {
	n, err := s.records.Networks.Find(ctx, tx, want.NetworkID)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Network %s could not be found.", want.NetworkID).With("NetworkNotFound")
	}
	if err != nil {
		return err
	}
	if !n.External {
		return fault.Invalidf("Bad router request: Network %s is not an external network.", n.ID).With("BadRequest")
	}
	if err := s.innerClear(ctx, tx, r, n.ID); err != nil {
		return err
	}
	snat := true
	if r.Gateway != nil {
		snat = r.Gateway.EnableSNAT
	}
	if want.EnableSNAT != nil {
		snat = *want.EnableSNAT
	}
	policy := ""
	if r.Gateway != nil {
		policy = r.Gateway.QoSPolicyID
	}
	if want.QoSPolicyID != nil {
		if err := records.PinPolicy(ctx, tx, policy, *want.QoSPolicyID); err != nil {
			return err
		}
		policy = *want.QoSPolicyID
	}
	if r.Gateway != nil && r.Gateway.NetworkID == n.ID {
		r.Gateway.EnableSNAT, r.Gateway.QoSPolicyID = snat, policy
		return s.readdress(ctx, tx, r, want.Wants)
	}
	if err := s.clearGateway(ctx, tx, r); err != nil {
		return err
	}
	p := newPort(r, n.ID, network.OwnerRouterGateway)
	p.ProjectID = "" // upstream: a tenant does not see the gateway's port
	if err := s.records.MakePort(ctx, tx, p, want.Wants); err != nil {
		return err
	}
	if len(p.FixedIPs) == 0 {
		return fault.Invalidf("Bad router request: No IPs available for external network %s.", n.ID).With("BadRequest")
	}
	r.Gateway = &network.Gateway{NetworkID: n.ID, EnableSNAT: snat, PortID: p.ID, FixedIPs: p.FixedIPs, QoSPolicyID: policy}
	return nil
}

// innerClear refuses a gateway on a network the router has an interface on.
func (s *Service) innerClear(ctx context.Context, tx *db.Tx, r *network.Router, networkID string) error {
	inner, err := s.records.InterfacesOf(ctx, tx, r.ID)
	for _, p := range inner {
		if p.NetworkID == networkID {
			return fault.Invalidf("Bad router request: Router already has an interface on network %s.", networkID).With("BadRequest")
		}
	}
	return err
}

func (s *Service) readdress(ctx context.Context, tx *db.Tx, r *network.Router, wants []records.Want) error {
	if wants == nil {
		return nil
	}
	before, err := s.records.Ports.Lock(ctx, tx, r.Gateway.PortID)
	if err != nil {
		return err
	}
	p := *before
	if p.FixedIPs, err = s.records.Allocate(ctx, tx, &p, wants, before.FixedIPs); err != nil {
		return err
	}
	r.Gateway.FixedIPs = p.FixedIPs
	s.records.Changed(tx, network.PortScope(p.ID))
	return s.records.UpdatePort(ctx, tx, before, &p)
}

// clearGateway takes the way out away; Conflict while floating addresses need it.
func (s *Service) clearGateway(ctx context.Context, tx *db.Tx, r *network.Router) error {
	if r.Gateway == nil {
		return nil
	}
	n, err := s.records.Floatings.Count(ctx, tx, records.Is("router_id", r.ID))
	if err != nil {
		return err
	}
	if n > 0 {
		return fault.Conflictf("Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.",
			r.ID, r.Gateway.NetworkID).With("RouterExternalGatewayInUseByFloatingIp")
	}
	p, err := s.records.Ports.Lock(ctx, tx, r.Gateway.PortID)
	if err != nil {
		return err
	}
	r.Gateway = nil
	return s.records.RemovePort(ctx, tx, p)
}
