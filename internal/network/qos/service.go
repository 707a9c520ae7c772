package qos

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
)

// Service is QoS policies behind the API. Safe for concurrent use.
type Service struct{ records *records.Records }

// New makes the service.
func New(r *records.Records) *Service { return &Service{r} }

// Create adds a policy without rules.
func (s *Service) Create(ctx context.Context, p *network.QoSPolicy, shared bool, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.onlyDefault(ctx, tx, p); err != nil {
			return err
		}
		s.records.Begin(&p.Standard)
		if err := s.records.Policies.Insert(ctx, tx, p); err != nil {
			return err
		}
		return s.share(ctx, tx, p, &shared, record)
	})
}

// onlyDefault refuses a second default policy of a project.
func (s *Service) onlyDefault(ctx context.Context, tx *db.Tx, p *network.QoSPolicy) error {
	if !p.IsDefault {
		return nil
	}
	have, err := s.records.Policies.Where(ctx, tx, records.Is("project_id", p.ProjectID), records.Is("is_default", true))
	for _, other := range have {
		if other.ID != p.ID {
			return fault.Conflictf("A default QoS policy exists for project %s.", p.ProjectID).With("QoSPolicyDefaultAlreadyExists")
		}
	}
	return err
}

func (s *Service) share(ctx context.Context, tx *db.Tx, p *network.QoSPolicy, shared *bool, record event.Record) error {
	if shared != nil {
		if err := s.records.ShareWithAll(ctx, tx, network.TypeQoSPolicy, p.Standard, network.AccessShared, *shared); err != nil {
			return err
		}
	}
	fresh, err := s.records.Policies.Find(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	*p = *fresh
	return outbox.Write(ctx, tx, record)
}

// Update changes a policy.
func (s *Service) Update(ctx context.Context, policyID string, change func(*network.QoSPolicy), shared *bool, record event.Record) (p *network.QoSPolicy, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if p, err = s.records.Policies.Lock(ctx, tx, policyID); err != nil {
			return err
		}
		change(p)
		if err := s.onlyDefault(ctx, tx, p); err != nil {
			return err
		}
		if err := s.records.Policies.Update(ctx, tx, s.records, p); err != nil {
			return err
		}
		return s.share(ctx, tx, p, shared, record)
	})
	return p, err
}

// Delete removes a policy with its rules; Conflict while it is on anything.
func (s *Service) Delete(ctx context.Context, policyID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Policies.Lock(ctx, tx, policyID); err != nil {
			return err
		}
		users, err := s.records.UsersOf(ctx, tx, policyID)
		if err != nil {
			return err
		}
		for kind, ids := range map[string][]string{"network": users.Networks, "port": users.Ports, "router": users.Routers, "floatingip": users.Floatings} {
			if len(ids) > 0 {
				return fault.Conflictf("QoS Policy %s is used by %s %s.", policyID, kind, ids[0]).With("QosPolicyInUse")
			}
		}
		if err := s.records.Policies.Delete(ctx, tx, policyID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// AddRule adds a rule; Conflict when the policy has one of its kind and direction.
func (s *Service) AddRule(ctx context.Context, r *network.QoSRule, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Policies.Lock(ctx, tx, r.PolicyID)
		if err != nil {
			return err
		}
		s.records.Begin(&r.Standard)
		if err := unlike(p, r); err != nil {
			return err
		}
		if err := s.records.QoSRules.Insert(ctx, tx, r); err != nil {
			return err
		}
		return s.changed(ctx, tx, p, record)
	})
}

func unlike(p *network.QoSPolicy, r *network.QoSRule) error {
	for _, other := range p.Rules {
		if other.ID != r.ID && other.Kind == r.Kind && other.Direction == r.Direction {
			return fault.Conflictf("Rule %s conflicts with rule %s which already exists in QoS Policy %s.", r.Kind, other.ID, p.ID).With("QoSRulesConflict")
		}
	}
	return nil
}

// changed raises a policy's revision and has all it is on rendered again.
func (s *Service) changed(ctx context.Context, tx *db.Tx, p *network.QoSPolicy, record event.Record) error {
	if err := s.records.Policies.Update(ctx, tx, s.records, p); err != nil {
		return err
	}
	if err := s.records.PolicyChanged(ctx, tx, p.ID); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, record)
}

// UpdateRule changes a rule.
func (s *Service) UpdateRule(ctx context.Context, rule *network.QoSRule, change func(*network.QoSRule) error, record event.Record) (r *network.QoSRule, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Policies.Lock(ctx, tx, rule.PolicyID)
		if err != nil {
			return err
		}
		if r, err = s.records.QoSRules.Lock(ctx, tx, rule.ID); err != nil {
			return err
		}
		if err := change(r); err != nil {
			return err
		}
		if err := unlike(p, r); err != nil {
			return err
		}
		if err := s.records.QoSRules.Update(ctx, tx, s.records, r); err != nil {
			return err
		}
		return s.changed(ctx, tx, p, record)
	})
	return r, err
}

// RemoveRule takes a rule away.
func (s *Service) RemoveRule(ctx context.Context, r *network.QoSRule, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		p, err := s.records.Policies.Lock(ctx, tx, r.PolicyID)
		if err != nil {
			return err
		}
		if err := s.records.QoSRules.Delete(ctx, tx, r.ID); err != nil {
			return err
		}
		return s.changed(ctx, tx, p, record)
	})
}
