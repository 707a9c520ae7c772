package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Service is security groups behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	quota   *quota.Quota
}

// New makes the service.
func New(r *records.Records, q *quota.Quota) *Service { return &Service{r, q} }

// EnsureDefault makes a project's default group if it has none.
func (s *Service) EnsureDefault(ctx context.Context, projectID string) error {
	if projectID == "" {
		return nil
	}
	if has, err := s.records.HasDefault(ctx, projectID); err != nil || has {
		return err
	}
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := s.records.DefaultGroup(ctx, tx, projectID)
		return err
	})
}

// Create adds a group with the rules that the templates name; stateful, unless
// it is said, as new groups of its project are.
func (s *Service) Create(ctx context.Context, g *network.SecurityGroup, stateful *bool, record event.Record) error {
	if g.Name == "default" {
		return fault.Conflictf("Default security group already exists.").With("SecurityGroupDefaultAlreadyExists")
	}
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.DefaultGroup(ctx, tx, g.ProjectID); err != nil {
			return err
		}
		if err := s.choose(ctx, tx, g, stateful); err != nil {
			return err
		}
		rules, err := s.records.FirstRules(ctx, tx, g, false)
		if err != nil {
			return err
		}
		g.Rules = rules
		if err := s.quota.Check(ctx, tx, g.ProjectID, map[string]int64{"security_group": 1, "security_group_rule": int64(len(g.Rules))}); err != nil {
			return err
		}
		s.records.Begin(&g.Standard)
		if err := s.records.InsertGroup(ctx, tx, g); err != nil {
			return err
		}
		s.records.Changed(tx, network.GroupScope(g.ID))
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Service) choose(ctx context.Context, tx *db.Tx, g *network.SecurityGroup, stateful *bool) (err error) {
	if stateful != nil {
		g.Stateful = *stateful
		return nil
	}
	g.Stateful, err = s.records.StatefulByDefault(ctx, tx, g.ProjectID)
	return err
}

// Update changes a group. The default one keeps its name.
func (s *Service) Update(ctx context.Context, groupID string, change func(*network.SecurityGroup), record event.Record) (g *network.SecurityGroup, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if g, err = s.records.Groups.Lock(ctx, tx, groupID); err != nil {
			return err
		}
		before := *g
		change(g)
		isDefault, err := s.records.IsDefault(ctx, tx, groupID)
		if err != nil {
			return err
		}
		if isDefault && before.Name != g.Name {
			return fault.Conflictf("Updating default security group not allowed.").With("SecurityGroupCannotUpdateDefault")
		}
		if !isDefault && g.Name == "default" {
			return fault.Conflictf("Default security group already exists.").With("SecurityGroupDefaultAlreadyExists")
		}
		if before.Stateful != g.Stateful {
			if err := s.unused(ctx, tx, groupID); err != nil {
				return err
			}
		}
		if err := s.records.UpdateGroup(ctx, tx, g); err != nil {
			return err
		}
		s.records.Changed(tx, network.GroupScope(g.ID))
		return outbox.Write(ctx, tx, record)
	})
	return g, err
}

func (s *Service) unused(ctx context.Context, tx *db.Tx, groupID string) error {
	ports, err := s.records.Ports.Where(ctx, tx, records.Is(records.InGroup, groupID))
	if err == nil && len(ports) > 0 {
		err = fault.Conflictf("Security Group %s in use.", groupID).With("SecurityGroupInUse")
	}
	return err
}

// Delete removes a group; Conflict while ports use it. Only administrators
// remove a project's default group.
func (s *Service) Delete(ctx context.Context, g *network.SecurityGroup, admin bool, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Groups.Lock(ctx, tx, g.ID); err != nil {
			return err
		}
		isDefault, err := s.records.IsDefault(ctx, tx, g.ID)
		if err != nil {
			return err
		}
		if isDefault && !admin {
			return fault.Conflictf("Insufficient rights for removing default security group.").With("SecurityGroupCannotRemoveDefault")
		}
		touched, err := s.records.DeleteGroup(ctx, tx, g.ID)
		if err != nil {
			return err
		}
		s.records.Changed(tx, network.GroupScope(g.ID))
		for _, other := range touched {
			s.records.Changed(tx, network.GroupScope(other))
		}
		return outbox.Write(ctx, tx, record)
	})
}

// AddRules adds rules, all or none.
func (s *Service) AddRules(ctx context.Context, rules []*network.Rule, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		for _, r := range rules {
			if _, err := s.records.Groups.Lock(ctx, tx, r.GroupID); err != nil {
				return err
			}
			if err := s.quota.Check(ctx, tx, r.ProjectID, map[string]int64{"security_group_rule": 1}); err != nil {
				return err
			}
			s.records.Begin(&r.Standard)
			if err := s.records.InsertRule(ctx, tx, r); err != nil {
				return err
			}
			if err := s.touch(ctx, tx, r.GroupID); err != nil {
				return err
			}
			record.Object, record.ProjectID = r.ID, r.ProjectID
			if err := outbox.Write(ctx, tx, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// touch raises a group's revision: its rules are part of it.
func (s *Service) touch(ctx context.Context, tx *db.Tx, groupID string) error {
	g, err := s.records.Groups.Find(ctx, tx, groupID)
	if err != nil {
		return err
	}
	s.records.Changed(tx, network.GroupScope(groupID))
	return s.records.UpdateGroup(ctx, tx, g)
}

// RemoveRule takes a rule away; established flows it let pass end.
func (s *Service) RemoveRule(ctx context.Context, r *network.Rule, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.records.DeleteRule(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := s.touch(ctx, tx, r.GroupID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// AddTemplate adds a rule that new groups begin with.
func (s *Service) AddTemplate(ctx context.Context, t *network.RuleTemplate, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		s.records.Begin(&t.Standard)
		if err := s.records.Templates.Insert(ctx, tx, t); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// RemoveTemplate takes such a rule away; groups that have it keep it.
func (s *Service) RemoveTemplate(ctx context.Context, templateID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.records.Templates.Lock(ctx, tx, templateID); err != nil {
			return err
		}
		if err := s.records.Templates.Delete(ctx, tx, templateID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
