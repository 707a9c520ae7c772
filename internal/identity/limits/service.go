package limits

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Others finds what limits refer to.
type Others struct {
	Service func(ctx context.Context, id string) (*identity.Service, error)
	Region  func(ctx context.Context, id string) (*identity.Region, error)
	Project func(ctx context.Context, id string) (*identity.Project, error)
}

// Service keeps limits. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	others  Others
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, o Others) *Service {
	return &Service{d, c, ch, o, newStore()}
}

// Registered loads a registered limit; NotFound.
func (s *Service) Registered(ctx context.Context, id string) (*identity.RegisteredLimit, error) {
	return s.store.getRegistered(ctx, s.db, id)
}

// ListRegistered loads a page of registered limits.
func (s *Service) ListRegistered(ctx context.Context, q listing.Query) ([]*identity.RegisteredLimit, error) {
	return s.store.listRegistered(ctx, s.db, q)
}

// Limit loads a limit; NotFound.
func (s *Service) Limit(ctx context.Context, id string) (*identity.Limit, error) {
	return s.store.getLimit(ctx, s.db, id)
}

// ListLimits loads limits.
func (s *Service) ListLimits(ctx context.Context, q listing.Query) ([]*identity.Limit, error) {
	return s.store.listLimits(ctx, s.db, q)
}

func (s *Service) refers(ctx context.Context, service, region string) error {
	if _, err := s.others.Service(ctx, service); err != nil {
		return fault.Invalidf("Could not find service: %s.", service).Because(err)
	}
	if region == "" {
		return nil
	}
	if _, err := s.others.Region(ctx, region); err != nil {
		return fault.Invalidf("Could not find region: %s.", region).Because(err)
	}
	return nil
}

// Register adds registered limits, all or none. Conflict: one is there already.
func (s *Service) Register(ctx context.Context, list []identity.RegisteredLimit) ([]*identity.RegisteredLimit, error) {
	out := make([]*identity.RegisteredLimit, len(list))
	for i := range list {
		l := list[i]
		if err := s.refers(ctx, l.ServiceID, l.RegionID); err != nil {
			return nil, err
		}
		l.ID, l.CreatedAt = id.Hex(), s.clock.Now()
		out[i] = &l
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for _, l := range out {
			if err := s.store.registered.Insert(ctx, tx, fromRegistered(l)); err != nil {
				return taken(err, "registered_limit")
			}
			if err := s.changes.Changed(ctx, tx, identity.Change("create", "registered_limit", l.ID)); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func taken(err error, kind string) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("Conflict occurred attempting to store %s - Duplicate entry.", kind).Because(err)
	}
	return err
}

// UpdateRegistered changes a registered limit. Forbidden: limits depend on its identity.
func (s *Service) UpdateRegistered(ctx context.Context, id string, fn func(*identity.RegisteredLimit)) (*identity.RegisteredLimit, error) {
	l, err := s.Registered(ctx, id)
	if err != nil {
		return nil, err
	}
	old := *l
	fn(l)
	if err := s.refers(ctx, l.ServiceID, l.RegionID); err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		moved := old.ServiceID != l.ServiceID || old.RegionID != l.RegionID || old.ResourceName != l.ResourceName
		if err := s.unused(ctx, tx, id, moved, "update"); err != nil {
			return err
		}
		if err := s.store.registered.Update(ctx, tx, fromRegistered(l)); err != nil {
			return taken(err, "registered_limit")
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "registered_limit", id))
	})
	return l, err
}

func (s *Service) unused(ctx context.Context, tx *db.Tx, id string, matters bool, verb string) error {
	if !matters {
		return nil
	}
	n, err := s.store.limits.Count(ctx, tx, listing.Term{Column: "registered_id", Op: listing.Eq, Values: []any{id}})
	if err == nil && n > 0 {
		err = fault.Forbiddenf("Unable to %s registered limit %s because there are project limits associated with it.", verb, id)
	}
	return err
}

// DeleteRegistered removes a registered limit. Forbidden: limits depend on it.
func (s *Service) DeleteRegistered(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.store.getRegistered(ctx, tx, id); err != nil {
			return err
		}
		if err := s.unused(ctx, tx, id, true, "delete"); err != nil {
			return err
		}
		if err := s.store.registered.Delete(ctx, tx, id); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "registered_limit", id))
	})
}

// Create adds limits, all or none. Forbidden: nothing is registered for one.
// Conflict: one is there already.
func (s *Service) Create(ctx context.Context, list []identity.Limit) ([]*identity.Limit, error) {
	out := make([]*identity.Limit, len(list))
	for i := range list {
		l := list[i]
		if err := s.owner(ctx, l); err != nil {
			return nil, err
		}
		l.ID, l.CreatedAt = id.Hex(), s.clock.Now()
		out[i] = &l
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for _, l := range out {
			if err := s.add(ctx, tx, l); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (s *Service) owner(ctx context.Context, l identity.Limit) error {
	p, err := s.others.Project(ctx, l.ProjectID+l.DomainID)
	if err != nil || (l.DomainID != "" && !p.IsDomain) {
		return fault.Invalidf("Could not find project or domain: %s.", l.ProjectID+l.DomainID).Because(err)
	}
	return s.refers(ctx, l.ServiceID, l.RegionID)
}

func (s *Service) add(ctx context.Context, tx *db.Tx, l *identity.Limit) error {
	q := listing.Query{}.And("service_id", listing.Eq, l.ServiceID).And("resource_name", listing.Eq, l.ResourceName)
	if l.RegionID == "" {
		q = q.And("region_id", listing.IsNull, true)
	} else {
		q = q.And("region_id", listing.Eq, l.RegionID)
	}
	found, err := s.store.listRegistered(ctx, tx, q)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fault.Forbiddenf("Unable to create a limit that has no corresponding registered limit.")
	}
	l.RegisteredID = found[0].ID
	err = s.store.limits.Insert(ctx, tx, &limitRow{l.ID, ref(l.ProjectID), ref(l.DomainID), l.RegisteredID, l.ResourceLimit, l.Description, clock.Micros(l.CreatedAt)})
	if err != nil {
		return taken(err, "limit")
	}
	return s.changes.Changed(ctx, tx, identity.Change("create", "limit", l.ID))
}

// Update changes a limit's number and description; nil stays.
func (s *Service) Update(ctx context.Context, id string, limit *int64, description *string) (*identity.Limit, error) {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.store.getLimit(ctx, tx, id); err != nil {
			return err
		}
		set := map[string]any{}
		if limit != nil {
			set["resource_limit"] = *limit
		}
		if description != nil {
			set["description"] = *description
		}
		if len(set) > 0 {
			if err := s.store.limits.Set(ctx, tx, id, set); err != nil {
				return err
			}
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "limit", id))
	})
	if err != nil {
		return nil, err
	}
	return s.Limit(ctx, id)
}

// Delete removes a limit.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.store.getLimit(ctx, tx, id); err != nil {
			return err
		}
		if err := s.store.limits.Delete(ctx, tx, id); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "limit", id))
	})
}
