package rbac

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

// Service is sharing policies behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

// actions are what objects of a type may be shared for.
var actions = map[string][]string{
	network.TypeNetwork: {network.AccessExternal, network.AccessShared}, network.TypeSecurityGroup: {network.AccessShared},
	network.TypeSubnetPool: {network.AccessShared}, network.TypeAddressScope: {network.AccessShared},
	network.TypeAddressGroup: {network.AccessShared}, network.TypeQoSPolicy: {network.AccessShared},
}

// check refuses a policy that makes no sense; pure.
func check(p *network.SharePolicy) error {
	valid, ok := actions[p.ObjectType]
	if !ok {
		return invalid("'%s' is not a valid RBAC object type.", p.ObjectType)
	}
	if !slices.Contains(valid, p.Action) {
		return invalid("Invalid action '%s' for object type '%s'. Valid actions: %v.", p.Action, p.ObjectType, valid)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fault.Invalidf("Invalid input for operation: "+format, args...).With("InvalidInput")
}

// Create adds a policy. Only who owns the object may, unless admin.
func (s *Service) Create(ctx context.Context, p *network.SharePolicy, admin bool, record event.Record) error {
	if err := check(p); err != nil {
		return err
	}
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		owner, err := s.records.OwnerOf(ctx, tx, p.ObjectType, p.ObjectID)
		if fault.Is(err, fault.NotFound) || err == nil && !admin && owner != p.ProjectID {
			return fault.NotFoundf("%s %s could not be found.", p.ObjectType, p.ObjectID).With("HTTPNotFound")
		}
		if err != nil {
			return err
		}
		if err := s.quota.Check(ctx, tx, p.ProjectID, map[string]int64{"rbac_policy": 1}); err != nil {
			return err
		}
		if err := s.records.Share(ctx, tx, p); err != nil {
			return err
		}
		return s.settle(ctx, tx, p, record)
	})
}

// settle keeps the flags of a network with its policies.
func (s *Service) settle(ctx context.Context, tx *db.Tx, p *network.SharePolicy, record event.Record) error {
	if p.ObjectType == network.TypeNetwork {
		if err := s.records.MarkShared(ctx, tx, p.ObjectID); err != nil {
			return err
		}
	}
	return outbox.Write(ctx, tx, record)
}

// Update gives a policy another target.
func (s *Service) Update(ctx context.Context, policyID, target string, record event.Record) (p *network.SharePolicy, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if p, err = s.records.Shares.Lock(ctx, tx, policyID); err != nil {
			return err
		}
		before := *p
		p.Target = target
		if err := s.records.Shares.Update(ctx, tx, s.records, p); err != nil {
			if fault.Is(err, fault.Conflict) {
				return fault.Conflictf("An RBAC policy already exists with those values.").With("DuplicateRbacPolicy")
			}
			return err
		}
		if err := s.unneeded(ctx, tx, &before); err != nil {
			return err
		}
		return s.settle(ctx, tx, p, record)
	})
	return p, err
}

// Delete takes a policy away; Conflict while its target uses the object.
func (s *Service) Delete(ctx context.Context, policyID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Shares.Lock(ctx, tx, policyID)
		if err != nil {
			return err
		}
		if err := s.records.Shares.Delete(ctx, tx, policyID); err != nil {
			return err
		}
		if err := s.unneeded(ctx, tx, p); err != nil {
			return err
		}
		return s.settle(ctx, tx, p, record)
	})
}

// unneeded refuses when a project uses the object and no policy that is left
// lets it.
func (s *Service) unneeded(ctx context.Context, tx *db.Tx, gone *network.SharePolicy) error {
	owner, err := s.records.OwnerOf(ctx, tx, gone.ObjectType, gone.ObjectID)
	if err != nil {
		return err
	}
	left, err := s.records.Shares.Where(ctx, tx, records.Is("object_id", gone.ObjectID), records.Is("action", gone.Action))
	if err != nil {
		return err
	}
	var audience network.Audience
	for _, p := range left {
		audience = append(audience, p.Target)
	}
	users, err := s.records.UsingProjects(ctx, tx, gone)
	if err != nil {
		return err
	}
	for _, project := range users {
		if project != owner && !audience.Includes(project) && (network.Audience{gone.Target}).Includes(project) {
			return fault.Conflictf("RBAC policy on object %s cannot be removed because other objects depend on it.\nDetails: project %s uses it.", gone.ObjectID, project).With("RbacPolicyInUse")
		}
	}
	return nil
}
