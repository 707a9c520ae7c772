package routers

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
)

// Lead adds a router that leads outside from subnets, in a transaction that
// says what was asked for. Invalid: it cannot.
func (s *Service) Lead(ctx context.Context, tx *db.Tx, r *network.Router, external string, subnets []string) error {
	if err := s.add(ctx, tx, r, Change{Gateway: &Gateway{NetworkID: external}}); err != nil {
		return err
	}
	for _, subnetID := range subnets {
		if _, err := s.join(ctx, tx, r, subnetID, ""); err != nil {
			return err
		}
	}
	return nil
}

// Dismantle removes a router that is on subnets; it, and its interfaces, may be
// gone. Conflict: it is on others too, or floating addresses need it. It tells
// whether there was a router.
func (s *Service) Dismantle(ctx context.Context, tx *db.Tx, routerID string, subnets []string) (bool, error) {
	r, err := s.records.Routers.Lock(ctx, tx, routerID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, subnetID := range subnets {
		if _, err := s.leave(ctx, tx, r, &subnetID, nil); err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
	}
	return true, s.remove(ctx, tx, r)
}
