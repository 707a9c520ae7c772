package policies

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Catalog finds what policies are for.
type Catalog interface {
	EndpointByID(ctx context.Context, id string) (*identity.Endpoint, error)
	ServiceByID(ctx context.Context, id string) (*identity.Service, error)
	Region(ctx context.Context, id string) (*identity.Region, error)
	Endpoints(ctx context.Context, q listing.Query) ([]*identity.Endpoint, error)
	Regions(ctx context.Context, q listing.Query) ([]*identity.Region, error)
}

// Service keeps policies. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	catalog Catalog
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, catalog Catalog) *Service {
	return &Service{d, c, ch, catalog, newStore()}
}

// Get loads a policy; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.Policy, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads a page of policies.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Policy, error) {
	return s.store.list(ctx, s.db, q)
}

func (s *Service) write(ctx context.Context, action, object string, fn func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, "policy", object))
	})
}

// Create adds a policy.
func (s *Service) Create(ctx context.Context, p identity.Policy) (*identity.Policy, error) {
	p.ID, p.CreatedAt = id.Hex(), s.clock.Now()
	return &p, s.write(ctx, "create", p.ID, func(tx *db.Tx) error { return s.store.policies.Insert(ctx, tx, toRow(&p)) })
}

// Update changes a policy; fn edits it inside the transaction.
func (s *Service) Update(ctx context.Context, id string, fn func(*identity.Policy)) (*identity.Policy, error) {
	var out *identity.Policy
	err := s.write(ctx, "update", id, func(tx *db.Tx) error {
		p, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		fn(p)
		out = p
		return s.store.policies.Update(ctx, tx, toRow(p))
	})
	return out, err
}

// Delete removes a policy with what it is tied to; NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.write(ctx, "delete", id, func(tx *db.Tx) error {
		if _, err := s.store.get(ctx, tx, id); err != nil {
			return err
		}
		return s.store.policies.Delete(ctx, tx, id)
	})
}

// exist checks that a policy and its target do; NotFound.
func (s *Service) exist(ctx context.Context, policy string, t identity.PolicyTarget) error {
	if _, err := s.Get(ctx, policy); err != nil {
		return err
	}
	if t.EndpointID != "" {
		_, err := s.catalog.EndpointByID(ctx, t.EndpointID)
		return err
	}
	if _, err := s.catalog.ServiceByID(ctx, t.ServiceID); err != nil || t.RegionID == "" {
		return err
	}
	_, err := s.catalog.Region(ctx, t.RegionID)
	return err
}

// Tie makes a policy the one of a target, in place of any other; NotFound.
func (s *Service) Tie(ctx context.Context, policy string, t identity.PolicyTarget) error {
	if err := s.exist(ctx, policy, t); err != nil {
		return err
	}
	minted := id.Hex()
	return s.write(ctx, "associate", policy, func(tx *db.Tx) error {
		if _, err := s.store.untie(ctx, tx, "", t); err != nil {
			return err
		}
		return s.store.ties.Insert(ctx, tx, &tie{minted, policy, ref(t.EndpointID), ref(t.ServiceID), ref(t.RegionID)})
	})
}

// Tied checks that a target has a policy; NotFound when it has not.
func (s *Service) Tied(ctx context.Context, policy string, t identity.PolicyTarget) error {
	if err := s.exist(ctx, policy, t); err != nil {
		return err
	}
	list, err := s.store.tied(ctx, s.db, policy)
	if err != nil {
		return err
	}
	for _, one := range list {
		if one.target() == t {
			return nil
		}
	}
	return fault.NotFoundf("Could not find policy association: %s.", policy)
}

// Untie takes a policy from a target. A target that had another, or none, is
// left as it is.
func (s *Service) Untie(ctx context.Context, policy string, t identity.PolicyTarget) error {
	if err := s.exist(ctx, policy, t); err != nil {
		return err
	}
	return s.write(ctx, "disassociate", policy, func(tx *db.Tx) error {
		_, err := s.store.untie(ctx, tx, policy, t)
		return err
	})
}

// Of finds the policy that an endpoint is under; NotFound.
func (s *Service) Of(ctx context.Context, endpoint string) (*identity.Policy, error) {
	e, err := s.catalog.EndpointByID(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	list, err := s.store.tied(ctx, s.db, "")
	if err != nil {
		return nil, err
	}
	ties := make(map[identity.PolicyTarget]string, len(list))
	for _, t := range list {
		ties[t.target()] = t.PolicyID
	}
	above, err := s.above(ctx, e.RegionID)
	if err != nil {
		return nil, err
	}
	if policy := nearest(ties, e, above); policy != "" {
		return s.Get(ctx, policy)
	}
	return nil, fault.NotFoundf("No policy is associated with endpoint %s.", endpoint)
}

// nearest picks the policy of an endpoint whose region and regions above are given.
func nearest(ties map[identity.PolicyTarget]string, e *identity.Endpoint, regions []string) string {
	if p := ties[identity.PolicyTarget{EndpointID: e.ID}]; p != "" {
		return p
	}
	for _, r := range regions {
		if p := ties[identity.PolicyTarget{ServiceID: e.ServiceID, RegionID: r}]; p != "" {
			return p
		}
	}
	return ties[identity.PolicyTarget{ServiceID: e.ServiceID}]
}

// above lists a region and those it lies in, the nearest first.
func (s *Service) above(ctx context.Context, region string) ([]string, error) {
	if region == "" {
		return nil, nil
	}
	all, err := s.catalog.Regions(ctx, listing.Query{})
	if err != nil {
		return nil, err
	}
	parents := make(map[string]string, len(all))
	for _, r := range all {
		parents[r.ID] = r.ParentID
	}
	var out []string
	for at := region; at != "" && len(out) <= len(all); at = parents[at] {
		out = append(out, at)
	}
	return out, nil
}

// Endpoints lists the endpoints that a policy is tied to: named, or of a
// service, or of a service in a region or below it. NotFound: no such policy.
func (s *Service) Endpoints(ctx context.Context, policy string) ([]*identity.Endpoint, error) {
	if _, err := s.Get(ctx, policy); err != nil {
		return nil, err
	}
	list, err := s.store.tied(ctx, s.db, policy)
	if err != nil {
		return nil, err
	}
	ties := make(map[identity.PolicyTarget]string, len(list))
	for _, t := range list {
		ties[t.target()] = policy
	}
	all, err := s.catalog.Endpoints(ctx, listing.Query{})
	if err != nil {
		return nil, err
	}
	var out []*identity.Endpoint
	for _, e := range all {
		regions, err := s.above(ctx, e.RegionID)
		if err != nil {
			return nil, err
		}
		if nearest(ties, e, regions) != "" {
			out = append(out, e)
		}
	}
	return out, nil
}
