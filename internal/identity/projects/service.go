package projects

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// maxDepth is how many projects may stand above each other below a domain.
const maxDepth = 5

const maxTags = 80

// Roles tells whether a user has a role on a scope.
type Roles interface {
	Has(ctx context.Context, user string, scope identity.Scope) (bool, error)
}

// Service keeps projects and domains. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	roles   Roles
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, r Roles) *Service {
	return &Service{db: d, clock: c, changes: ch, roles: r, store: newStore()}
}

// Get loads a project or domain; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.Project, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads a page of projects and domains.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Project, error) {
	return s.store.list(ctx, s.db, q)
}

// ByName finds a project in a domain, or a domain when domainID is empty; NotFound.
func (s *Service) ByName(ctx context.Context, domainID, name string) (*identity.Project, error) {
	q := listing.Query{Limit: 1}.And("name", listing.Eq, name)
	if domainID == "" {
		q = q.And("is_domain", listing.Eq, true)
	} else {
		q = q.And("domain_id", listing.Eq, domainID)
	}
	list, err := s.store.list(ctx, s.db, q)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(name)
	}
	return list[0], nil
}

// Create adds a project or, with IsDomain, a domain. ID and CreatedAt are set
// here unless ID is given. Invalid: a domain or parent that does not exist.
// Conflict: the name is taken. Forbidden: the tree would be too deep, or the
// parent is disabled.
func (s *Service) Create(ctx context.Context, p identity.Project) (*identity.Project, error) {
	if p.ID == "" {
		p.ID = id.Hex()
	}
	p.CreatedAt = s.clock.Now()
	p.Name = strings.TrimSpace(p.Name)
	if p.IsDomain && (p.DomainID != "" || p.ParentID != "") {
		return nil, fault.Invalidf("Specify a domain_id or a parent_id, but not for a project that acts as a domain.")
	}
	if err := s.db.Write(ctx, func(tx *db.Tx) error { return s.Add(ctx, tx, p) }); err != nil {
		return nil, err
	}
	return s.Get(ctx, p.ID)
}

// Add is Create in the transaction of something that needs a project or domain
// of its own: ID and CreatedAt are set, and the name has no blanks around it.
func (s *Service) Add(ctx context.Context, tx *db.Tx, p identity.Project) error {
	if !p.IsDomain {
		if err := s.place(ctx, tx, &p); err != nil {
			return err
		}
	}
	if err := s.store.table.Insert(ctx, tx, toRow(&p)); err != nil {
		return taken(err, &p)
	}
	if err := s.store.setTags(ctx, tx, p.ID, p.Tags); err != nil {
		return err
	}
	return s.changes.Changed(ctx, tx, identity.Change("create", kind(&p), p.ID))
}

func kind(p *identity.Project) string {
	if p.IsDomain {
		return "domain"
	}
	return "project"
}

func taken(err error, p *identity.Project) error {
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	if p.IsDomain {
		return fault.Conflictf("Conflict occurred attempting to store domain - it is not permitted to have two projects acting as domains with the same name: %s.", p.Name).Because(err)
	}
	return fault.Conflictf("Conflict occurred attempting to store project - it is not permitted to have two projects with the same name in the same domain : %s.", p.Name).Because(err)
}

// place checks where a new project stands and fills in its parent.
func (s *Service) place(ctx context.Context, tx *db.Tx, p *identity.Project) error {
	domain, err := s.store.get(ctx, tx, p.DomainID)
	if err != nil || !domain.IsDomain {
		return fault.Invalidf("Could not find domain: %s.", p.DomainID).Because(err)
	}
	if p.ParentID == "" {
		p.ParentID = p.DomainID
	}
	parent, err := s.store.get(ctx, tx, p.ParentID)
	if err != nil {
		return fault.Invalidf("Could not find project: %s.", p.ParentID).Because(err)
	}
	if parent.ID != p.DomainID && parent.DomainID != p.DomainID {
		return fault.Invalidf("Cannot create project, the parent (%s) is not in the domain (%s).", p.ParentID, p.DomainID)
	}
	if !parent.Enabled {
		return fault.Forbiddenf("cannot create a project in a branch containing a disabled project: %s", parent.ID)
	}
	above, err := s.store.above(ctx, tx, parent.ID)
	if err != nil {
		return err
	}
	depth := len(above)
	if !parent.IsDomain {
		depth++
	}
	if depth >= maxDepth {
		return fault.Forbiddenf("Max hierarchy depth reached for %s branch.", p.ParentID)
	}
	return nil
}

// Change is an update of a project or domain; nil members stay.
type Change struct {
	Name, Description *string
	Enabled           *bool
	Options           *Options // replaces options
	Tags              *[]string
	Extra             map[string]any // laid over the stored ones
}

// Update changes a project or domain. Forbidden: immutable, or enabled and
// disabled projects would stand in the wrong order. Disabling ends tokens.
func (s *Service) Update(ctx context.Context, id string, c Change) (*identity.Project, error) {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		p, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if p.Immutable != nil && *p.Immutable && (c.Options == nil || c.Options.Immutable == nil || *c.Options.Immutable) {
			return fault.Forbiddenf("Unable to update immutable %s resource: `%s`. Set resource option \"immutable\" to false first.", kind(p), p.ID)
		}
		ended, err := s.apply(ctx, tx, p, c)
		if err != nil {
			return err
		}
		if err := s.store.table.Update(ctx, tx, toRow(p)); err != nil {
			return taken(err, p)
		}
		if c.Tags != nil {
			if err := s.store.setTags(ctx, tx, id, *c.Tags); err != nil {
				return err
			}
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", kind(p), p.ID), ended...)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, id)
}

func (s *Service) apply(ctx context.Context, tx *db.Tx, p *identity.Project, c Change) ([]identity.Revocation, error) {
	var ended []identity.Revocation
	if c.Name != nil {
		p.Name = strings.TrimSpace(*c.Name)
	}
	if c.Description != nil {
		p.Description = *c.Description
	}
	if c.Options != nil {
		p.Immutable = c.Options.Immutable
	}
	for k, v := range c.Extra {
		if p.Extra == nil {
			p.Extra = map[string]any{}
		}
		if p.Extra[k] = v; v == nil {
			delete(p.Extra, k)
		}
	}
	if c.Enabled != nil && *c.Enabled != p.Enabled {
		if err := s.mayToggle(ctx, tx, p, *c.Enabled); err != nil {
			return nil, err
		}
		p.Enabled = *c.Enabled
		if !p.Enabled {
			ended = append(ended, ending(p))
		}
	}
	return ended, nil
}

func ending(p *identity.Project) identity.Revocation {
	if p.IsDomain {
		return identity.Revocation{Subject: identity.SubjectDomain, Key: p.ID}
	}
	return identity.Revocation{Subject: identity.SubjectProject, Key: p.ID}
}

// mayToggle keeps enabled projects from standing below disabled ones. A domain
// may be disabled with its projects as they are: they stop with it.
func (s *Service) mayToggle(ctx context.Context, tx *db.Tx, p *identity.Project, enable bool) error {
	if p.IsDomain {
		return nil
	}
	ids, err := s.store.below(ctx, tx, p.ID)
	if enable {
		ids, err = s.store.above(ctx, tx, p.ID)
	}
	if err != nil {
		return err
	}
	list, err := s.store.byIDs(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, other := range list {
		if other.Enabled != enable && enable {
			return fault.Forbiddenf("Cannot enable project %s since it has disabled parents", p.ID)
		}
		if other.Enabled != enable {
			return fault.Forbiddenf("Cannot disable project %s since its subtree contains enabled projects.", p.ID)
		}
	}
	return nil
}

// Delete removes a project without children, or a disabled domain with
// everything in it. Forbidden otherwise.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		p, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if p.Immutable != nil && *p.Immutable {
			return fault.Forbiddenf("Unable to delete immutable %s resource: `%s`. Set resource option \"immutable\" to false first.", kind(p), p.ID)
		}
		if p.ID == identity.DefaultDomainID {
			return fault.Forbiddenf("You are not authorized to perform the requested action: delete the default domain.")
		}
		if p.IsDomain && p.Enabled {
			return fault.Forbiddenf("Cannot delete a domain that is enabled, please disable it first.")
		}
		if !p.IsDomain {
			n, err := s.store.table.Count(ctx, tx, listing.Term{Column: "parent_id", Op: listing.Eq, Values: []any{id}})
			if err != nil {
				return err
			}
			if n > 0 {
				return fault.Forbiddenf("Cannot delete the project %s since it is not a leaf in the hierarchy.", id)
			}
		}
		ended := []identity.Revocation{ending(p)}
		providers, err := s.store.providers(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, provider := range providers {
			ended = append(ended, identity.Revocation{Subject: identity.SubjectIdentityProvider, Key: provider})
		}
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", kind(p), p.ID), ended...)
	})
}

// Tag adds one tag; adding it twice is fine. Invalid: too many.
func (s *Service) Tag(ctx context.Context, id, tag string) error {
	return s.retag(ctx, id, func(tags []string) ([]string, error) {
		if len(tags) >= maxTags {
			return nil, fault.Invalidf("A project has at most %d tags.", maxTags)
		}
		return append(tags, tag), nil
	})
}

// Untag removes one tag; NotFound when the project does not have it.
func (s *Service) Untag(ctx context.Context, id, tag string) error {
	return s.retag(ctx, id, func(tags []string) ([]string, error) {
		left := []string{}
		for _, t := range tags {
			if t != tag {
				left = append(left, t)
			}
		}
		if len(left) == len(tags) {
			return nil, fault.NotFoundf("Could not find project tag: %s.", tag)
		}
		return left, nil
	})
}

func (s *Service) retag(ctx context.Context, id string, fn func([]string) ([]string, error)) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		p, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		tags, err := fn(p.Tags)
		if err != nil {
			return err
		}
		if err := s.store.setTags(ctx, tx, id, tags); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "project", id))
	})
}

// Above lists the projects over one, nearest first.
func (s *Service) Above(ctx context.Context, id string) ([]*identity.Project, error) {
	ids, err := s.store.above(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	return s.store.byIDs(ctx, s.db, ids)
}

// Below lists the projects under one.
func (s *Service) Below(ctx context.Context, id string) ([]*identity.Project, error) {
	ids, err := s.store.below(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	return s.store.byIDs(ctx, s.db, ids)
}

// Tagged lists the ids of projects that have all, or any, of some tags.
func (s *Service) Tagged(ctx context.Context, tags []string, all bool) ([]any, error) {
	return s.store.tagged(ctx, s.db, tags, all)
}

// UpdateDomain is Update in the words of package domains.
func (s *Service) UpdateDomain(ctx context.Context, id string, c identity.DomainChange) (*identity.Project, error) {
	change := Change{Name: c.Name, Description: c.Description, Enabled: c.Enabled, Extra: c.Extra}
	if c.SetImmutable {
		change.Options = &Options{c.Immutable}
	}
	return s.Update(ctx, id, change)
}
