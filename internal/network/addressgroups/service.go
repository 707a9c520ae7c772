package addressgroups

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

// Service is address groups behind the API. Safe for concurrent use.
type Service struct{ records *records.Records }

// New makes the service.
func New(r *records.Records) *Service { return &Service{r} }

// unique sorts addresses and leaves out repeated ones.
func unique(list []netip.Prefix) []netip.Prefix {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// with adds addresses that a group does not have yet.
func with(list []netip.Prefix) func(*network.AddressGroup) error {
	return func(g *network.AddressGroup) error {
		if twice := slices.DeleteFunc(slices.Clone(list), func(p netip.Prefix) bool { return !slices.Contains(g.Addresses, p) }); len(twice) > 0 {
			return fault.Invalidf("Addresses %s already exist in the address group %s.", words(twice), g.ID).With("AddressesAlreadyExist")
		}
		g.Addresses = unique(append(slices.Clone(g.Addresses), list...))
		return nil
	}
}

// without takes away addresses that a group has.
func without(list []netip.Prefix) func(*network.AddressGroup) error {
	return func(g *network.AddressGroup) error {
		if strange := slices.DeleteFunc(slices.Clone(list), func(p netip.Prefix) bool { return slices.Contains(g.Addresses, p) }); len(strange) > 0 {
			return fault.NotFoundf("Addresses %s not found in the address group %s.", words(strange), g.ID).With("AddressesNotFound")
		}
		g.Addresses = slices.DeleteFunc(slices.Clone(g.Addresses), func(p netip.Prefix) bool { return slices.Contains(list, p) })
		return nil
	}
}

func words(list []netip.Prefix) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = "'" + p.String() + "'"
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// Create adds a group.
func (s *Service) Create(ctx context.Context, g *network.AddressGroup, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		s.records.Begin(&g.Standard)
		if err := s.records.AddressGroups.Insert(ctx, tx, g); err != nil {
			return err
		}
		s.records.Changed(tx, network.AddressGroupScope(g.ID))
		return outbox.Write(ctx, tx, record)
	})
}

// Update changes a group; rules that refer to it follow.
func (s *Service) Update(ctx context.Context, groupID string, change func(*network.AddressGroup) error, record event.Record) (g *network.AddressGroup, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if g, err = s.records.AddressGroups.Lock(ctx, tx, groupID); err != nil {
			return err
		}
		if err := change(g); err != nil {
			return err
		}
		if err := s.records.AddressGroups.Update(ctx, tx, s.records, g); err != nil {
			return err
		}
		s.records.Changed(tx, network.AddressGroupScope(g.ID))
		return outbox.Write(ctx, tx, record)
	})
	return g, err
}

// Delete removes a group; Conflict while rules refer to it.
func (s *Service) Delete(ctx context.Context, groupID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.AddressGroups.Lock(ctx, tx, groupID); err != nil {
			return err
		}
		n, err := s.records.Rules.Count(ctx, tx, records.Is("address_group_id", groupID))
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Conflictf("Address group %s is in use on one or more security group rules.", groupID).With("AddressGroupInUse")
		}
		if err := s.records.AddressGroups.Delete(ctx, tx, groupID); err != nil {
			return err
		}
		s.records.Changed(tx, network.AddressGroupScope(groupID))
		return outbox.Write(ctx, tx, record)
	})
}
