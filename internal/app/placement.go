package app

import (
	"context"

	placementapi "github.com/mekcloud/mek/internal/placement/api"
)

// placement builds Placement.
func (b *builder) placement(context.Context) error {
	s := placementapi.New(b.DB, b.Clock)
	b.shared.placement = s.Allocator()
	b.checks.Add(s.Checks()...)
	b.shared.across.held = s.Held
	b.serve(s.REST())
	return nil
}
