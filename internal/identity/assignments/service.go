package assignments

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Service keeps assignments. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	store   store
}

// NewService makes the service.
func NewService(d *db.DB, c clock.Clock, ch identity.Changes) *Service {
	return &Service{d, c, ch, newStore()}
}

// Assign gives a role; giving it twice is fine. Conflict: something it refers
// to is gone.
func (s *Service) Assign(ctx context.Context, a identity.Assignment) error {
	now := clock.Micros(s.clock.Now())
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.add(ctx, tx, a, now); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, change("create", a))
	})
}

// Revoke takes a role away; NotFound when it was not given.
func (s *Service) Revoke(ctx context.Context, a identity.Assignment) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.remove(ctx, tx, a); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, change("delete", a))
	})
}

// Has is nil when the assignment stands; NotFound otherwise.
func (s *Service) Has(ctx context.Context, a identity.Assignment) error {
	return s.store.has(ctx, s.db, a)
}

// Direct lists the role ids given to one actor on one target, not expanded.
func (s *Service) Direct(ctx context.Context, a identity.Assignment) ([]string, error) {
	list, err := s.store.find(ctx, s.db, terms(Filter{UserID: a.UserID, GroupID: a.GroupID, ProjectID: a.ProjectID, DomainID: a.DomainID,
		System: a.System, Inherited: &a.Inherited}))
	out := make([]string, len(list))
	for i, l := range list {
		out[i] = l.RoleID
	}
	return out, err
}

// Given lists the roles that were given to a user himself, not to his groups.
func (s *Service) Given(ctx context.Context, user string) ([]identity.Assignment, error) {
	return s.store.find(ctx, s.db, terms(Filter{UserID: user}))
}

// Filter narrows a list; empty members match all.
type Filter struct {
	UserID, GroupID, RoleID, ProjectID, DomainID string
	System                                       bool
	Inherited                                    *bool
	Effective, Subtree                           bool
	InDomain                                     string // only targets of this domain
}

func terms(f Filter) []listing.Term {
	var out []listing.Term
	add := func(column, value string) {
		if value != "" {
			out = append(out, listing.Term{Column: column, Op: listing.Eq, Values: []any{value}})
		}
	}
	add("user_id", f.UserID)
	add("group_id", f.GroupID)
	add("role_id", f.RoleID)
	add("project_id", f.ProjectID)
	add("domain_id", f.DomainID)
	if f.System {
		out = append(out, listing.Term{Column: "system", Op: listing.Eq, Values: []any{true}})
	}
	if f.Inherited != nil {
		out = append(out, listing.Term{Column: "inherited", Op: listing.Eq, Values: []any{*f.Inherited}})
	}
	return out
}

// List lists assignments as they were given, or in effect.
func (s *Service) List(ctx context.Context, f Filter) ([]Listed, error) {
	if !f.Effective && !f.Subtree && f.InDomain == "" {
		list, err := s.store.find(ctx, s.db, terms(f))
		return plain(list), err
	}
	w, err := s.store.world(ctx, s.db)
	if err != nil {
		return nil, err
	}
	read := Filter{}
	if !f.Effective {
		read = f
		if f.Subtree {
			read.ProjectID = ""
		}
	}
	list, err := s.store.find(ctx, s.db, terms(read))
	if err != nil {
		return nil, err
	}
	out := plain(list)
	if f.Effective {
		out = w.expand(list)
	}
	projects := []string{f.ProjectID}
	if f.Subtree {
		projects = append(projects, w.below(f.ProjectID)...)
	}
	return slices.DeleteFunc(out, func(l Listed) bool { return !f.matches(l, projects, w) }), nil
}

func plain(list []identity.Assignment) []Listed {
	out := make([]Listed, len(list))
	for i, a := range list {
		out[i] = Listed{Assignment: a}
	}
	return out
}

func (f Filter) matches(l Listed, projects []string, w *world) bool {
	inherited := l.Inherited || l.ViaProject != "" || l.ViaDomain != ""
	domain := l.DomainID
	if l.ProjectID != "" {
		domain = w.domains[l.ProjectID]
	}
	return (f.UserID == "" || l.UserID == f.UserID) && (f.GroupID == "" || l.GroupID == f.GroupID) &&
		(f.RoleID == "" || l.RoleID == f.RoleID) && (f.ProjectID == "" || slices.Contains(projects, l.ProjectID)) &&
		(f.DomainID == "" || l.DomainID == f.DomainID) && (!f.System || l.System) &&
		(f.Inherited == nil || inherited == *f.Inherited) && (f.InDomain == "" || domain == f.InDomain)
}

// names loads what include_names shows.
func (s *Service) names(ctx context.Context) (map[string]map[string]label, error) {
	out := map[string]map[string]label{}
	for _, kind := range []string{"user", "group", "project", "role"} {
		l, err := s.store.labels(ctx, s.db, kind)
		if err != nil {
			return nil, err
		}
		out[kind] = l
	}
	return out, nil
}

// mismatch refuses a role of one domain on a target of another.
func mismatch(role *identity.Role, targetDomain string) error {
	if role.DomainID != "" && role.DomainID != targetDomain {
		return fault.Forbiddenf("Project %s must be in the same domain as the role %s being assigned.", targetDomain, role.ID)
	}
	return nil
}

func change(action string, a identity.Assignment) event.Record {
	r := identity.Change(action, "role_assignment", a.RoleID)
	r.ProjectID = a.ProjectID
	r.Payload = map[string]any{"user_id": a.UserID, "group_id": a.GroupID, "project_id": a.ProjectID, "domain_id": a.DomainID,
		"system": a.System, "role_id": a.RoleID, "inherited": a.Inherited}
	return r
}
