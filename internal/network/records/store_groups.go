package records

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
)

type groupRow struct {
	standard
	Stateful bool `db:"stateful"`
}

type defaultGroupRow struct {
	ProjectID string `db:"project_id"`
	GroupID   string `db:"group_id"`
}

type ruleRow struct {
	ID           string `db:"id"`
	ProjectID    string `db:"project_id"`
	Description  string `db:"description"`
	Revision     int64  `db:"revision"`
	CreatedAt    int64  `db:"created_at"`
	UpdatedAt    int64  `db:"updated_at"`
	GroupID      string `db:"group_id"`
	Direction    string `db:"direction"`
	EtherType    string `db:"ethertype"`
	Protocol     string `db:"protocol"`
	PortMin      int    `db:"port_min"`
	PortMax      int    `db:"port_max"`
	RemoteGroup  string `db:"remote_group_id"`
	RemotePrefix string `db:"remote_ip_prefix"`
	AddressGroup string `db:"address_group_id"`
}

var (
	groupRows        = db.NewTable[groupRow]("network_groups", "id", "Security group")
	defaultGroupRows = db.NewTable[defaultGroupRow]("network_default_groups", "project_id", "Default security group")
	ruleRows         = db.NewTable[ruleRow]("network_rules", "id", "Security group rule").Sparse("remote_group_id", "address_group_id")
)

// Groups reads security groups with their rules; Rules reads single ones.
type (
	Groups = Store[groupRow, network.SecurityGroup]
	Rules  = Store[ruleRow, network.Rule]
)

func groups(d *db.DB) *Groups {
	return &Groups{db: d, table: groupRows, of: (*groupRow).group, fill: fillGroups, pseudo: map[string]string{Visible: sharedObjects}}
}

func rules(d *db.DB) *Rules {
	return &Rules{db: d, table: ruleRows, of: (*ruleRow).rule, pseudo: map[string]string{
		Visible: "project_id = ? OR group_id IN (SELECT id FROM network_groups WHERE project_id = ?)"}}
}

func (r *groupRow) group() *network.SecurityGroup {
	return &network.SecurityGroup{Standard: r.Standard(), Stateful: r.Stateful}
}

func (r *ruleRow) rule() *network.Rule {
	return &network.Rule{Standard: network.Standard{ID: r.ID, ProjectID: r.ProjectID, Description: r.Description, Revision: r.Revision,
		CreatedAt: clock.FromMicros(r.CreatedAt), UpdatedAt: clock.FromMicros(r.UpdatedAt)},
		GroupID: r.GroupID, Direction: r.Direction, EtherType: r.EtherType, Protocol: r.Protocol, PortMin: optional(r.PortMin), PortMax: optional(r.PortMax),
		RemoteGroupID: r.RemoteGroup, RemotePrefix: prefix(r.RemotePrefix), AddressGroupID: r.AddressGroup}
}

func ruleRowOf(r *network.Rule) *ruleRow {
	return &ruleRow{r.ID, r.ProjectID, r.Description, r.Revision, clock.Micros(r.CreatedAt), clock.Micros(r.UpdatedAt), r.GroupID, r.Direction, r.EtherType,
		r.Protocol, orMinus(r.PortMin), orMinus(r.PortMax), r.RemoteGroupID, prefixText(r.RemotePrefix), r.AddressGroupID}
}

func optional(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

func orMinus(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

func fillGroups(ctx context.Context, q db.Querier, items []*network.SecurityGroup) error {
	byID := map[string]*network.SecurityGroup{}
	ids := make([]string, len(items))
	for i, g := range items {
		byID[g.ID], ids[i] = g, g.ID
	}
	rows, err := ruleRows.Find(ctx, q, OneOf("group_id", ids))
	for _, r := range rows {
		byID[r.GroupID].Rules = append(byID[r.GroupID].Rules, *r.rule())
	}
	if err != nil {
		return err
	}
	all, err := audiences(ctx, q, ids)
	for _, g := range items {
		g.SharedWith = all[network.AccessShared][g.ID]
	}
	return err
}

// InsertGroup adds a security group with its rules.
func (r *Records) InsertGroup(ctx context.Context, tx *db.Tx, g *network.SecurityGroup) error {
	if err := groupRows.Insert(ctx, tx, &groupRow{standardOf(g.Standard), g.Stateful}); err != nil {
		return err
	}
	rows, seen := make([]*ruleRow, len(g.Rules)), map[ruleRow]string{}
	for i := range g.Rules {
		rows[i] = ruleRowOf(&g.Rules[i])
		says := *rows[i]
		says.ID, says.Description, says.Revision, says.CreatedAt, says.UpdatedAt = "", "", 0, 0, 0
		if other, taken := seen[says]; taken { // they are the only ones of the group
			return ruleExists(other)
		}
		seen[says] = rows[i].ID
	}
	return ruleRows.Insert(ctx, tx, rows...)
}

func ruleExists(ruleID string) error {
	return fault.Conflictf("Security group rule already exists. Rule id is %s.", ruleID).With("SecurityGroupRuleExists")
}

// UpdateGroup writes a group that Lock loaded, but for its rules.
func (r *Records) UpdateGroup(ctx context.Context, tx *db.Tx, g *network.SecurityGroup) error {
	r.Touch(&g.Standard)
	return groupRows.Update(ctx, tx, &groupRow{standardOf(g.Standard), g.Stateful})
}

// DeleteGroup removes a group with its rules, and the rules that name it.
// Conflict when ports use it.
func (r *Records) DeleteGroup(ctx context.Context, tx *db.Tx, groupID string) (touched []string, err error) {
	n, err := portGroupRows.Count(ctx, tx, Is("group_id", groupID))
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, fault.Conflictf("Security Group %s in use.", groupID).With("SecurityGroupInUse")
	}
	naming, err := ruleRows.Find(ctx, tx, Is("remote_group_id", groupID))
	if err != nil {
		return nil, err
	}
	for _, rule := range naming {
		if rule.GroupID != groupID && !slices.Contains(touched, rule.GroupID) {
			touched = append(touched, rule.GroupID)
		}
	}
	if _, err := ruleRows.DeleteWhere(ctx, tx, Is("remote_group_id", groupID)); err != nil {
		return nil, err
	}
	if err := dropTags(ctx, tx, groupID); err != nil {
		return nil, err
	}
	if err := dropShares(ctx, tx, groupID); err != nil {
		return nil, err
	}
	return touched, groupRows.Delete(ctx, tx, groupID)
}

// InsertRule adds a rule; Conflict names the rule that is equal to it.
func (r *Records) InsertRule(ctx context.Context, tx *db.Tx, rule *network.Rule) error {
	row := ruleRowOf(rule)
	same, err := ruleRows.Find(ctx, tx, Is("group_id", row.GroupID), Is("direction", row.Direction), Is("ethertype", row.EtherType), Is("protocol", row.Protocol),
		Is("port_min", row.PortMin), Is("port_max", row.PortMax), Is("remote_group_id", row.RemoteGroup), Is("remote_ip_prefix", row.RemotePrefix), Is("address_group_id", row.AddressGroup))
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return ruleExists(same[0].ID)
	}
	return ruleRows.Insert(ctx, tx, row)
}

// DeleteRule removes a rule.
func (r *Records) DeleteRule(ctx context.Context, tx *db.Tx, ruleID string) error {
	return ruleRows.Delete(ctx, tx, ruleID)
}

// KnownDefaultGroup is DefaultGroup of a project that has one; empty otherwise.
func (r *Records) KnownDefaultGroup(ctx context.Context, projectID string) (string, error) {
	groupID, err := r.ownGroup(ctx, r.DB, projectID)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return groupID, err
}

// ownGroup is a project's default group; NotFound when it has none yet.
func (r *Records) ownGroup(ctx context.Context, q db.Querier, projectID string) (string, error) {
	return r.ownGroups.Get(q, projectID, func() (string, error) {
		row, err := defaultGroupRows.Get(ctx, q, projectID)
		if err != nil {
			return "", err
		}
		return row.GroupID, nil
	})
}

// DefaultGroup is a project's own group, made on first use with the rules that
// the templates name: at first everything out, everything in from its members.
func (r *Records) DefaultGroup(ctx context.Context, tx *db.Tx, projectID string) (string, error) {
	groupID, err := r.ownGroup(ctx, tx, projectID)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return groupID, err
	}
	g := &network.SecurityGroup{Stateful: true, Standard: network.Standard{ID: id.New(), ProjectID: projectID, Name: "default", Description: "Default security group"}}
	r.Begin(&g.Standard)
	if g.Rules, err = r.FirstRules(ctx, tx, g, true); err != nil {
		return "", err
	}
	if err := r.InsertGroup(ctx, tx, g); err != nil {
		return "", err
	}
	r.Changed(tx, network.GroupScope(g.ID))
	return g.ID, defaultGroupRows.Insert(ctx, tx, &defaultGroupRow{projectID, g.ID})
}

// IsDefault tells whether a group is its project's own.
func (r *Records) IsDefault(ctx context.Context, q db.Querier, groupID string) (bool, error) {
	n, err := defaultGroupRows.Count(ctx, q, Is("group_id", groupID))
	return n > 0, err
}

// HasDefault tells whether a project has its own group already.
func (r *Records) HasDefault(ctx context.Context, projectID string) (bool, error) {
	n, err := defaultGroupRows.Count(ctx, r.DB, Is("project_id", projectID))
	return n > 0, err
}

// FirstRules are those that a new group starts with, as the templates say.
func (r *Records) FirstRules(ctx context.Context, q db.Querier, g *network.SecurityGroup, isDefault bool) ([]network.Rule, error) {
	column := "in_others"
	if isDefault {
		column = "in_default"
	}
	found, err := r.newTemplates.Get(q, column, func() ([]*network.RuleTemplate, error) { return r.Templates.Where(ctx, q, Is(column, true)) })
	if err != nil {
		return nil, err
	}
	out := make([]network.Rule, 0, len(found))
	for _, t := range found {
		rule := t.Rule
		rule.Standard = network.Standard{ID: id.New(), ProjectID: g.ProjectID}
		rule.GroupID = g.ID
		if rule.RemoteGroupID == network.OwnGroup {
			rule.RemoteGroupID = g.ID
		}
		r.Begin(&rule.Standard)
		out = append(out, rule)
	}
	return out, nil
}
