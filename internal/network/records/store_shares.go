package records

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

type shareRow struct {
	standard
	ObjectType string `db:"object_type"`
	ObjectID   string `db:"object_id"`
	Action     string `db:"action"`
	Target     string `db:"target"`
}

var shareRows = db.NewTable[shareRow]("network_shares", "id", "RBAC policy")

// Shares reads sharing policies.
type Shares = Store[shareRow, network.SharePolicy]

func shares(d *db.DB) *Shares {
	return &Shares{db: d, table: shareRows, pseudo: map[string]string{Visible: "project_id = ?"},
		of: func(r *shareRow) *network.SharePolicy {
			return &network.SharePolicy{Standard: r.Standard(), ObjectType: r.ObjectType, ObjectID: r.ObjectID, Action: r.Action, Target: r.Target}
		},
		row: func(s *network.SharePolicy) *shareRow {
			return &shareRow{standardOf(s.Standard), s.ObjectType, s.ObjectID, s.Action, s.Target}
		},
		std: func(s *network.SharePolicy) *network.Standard { return &s.Standard },
	}
}

// sharedObjects is the condition on objects that a project sees because they
// are shared with it; two values, both the project.
const sharedObjects = "project_id = ? OR id IN (SELECT object_id FROM network_shares WHERE target IN ('*', ?))"

// seenObjects is the same in two parts: those of the project, and the others.
func seenObjects(project any) []db.Cond {
	return []db.Cond{{SQL: "project_id = ?", Args: []any{project}},
		{SQL: "project_id <> ? AND id IN (SELECT object_id FROM network_shares WHERE target IN ('*', ?))", Args: []any{project, project}}}
}

// sharedOnly is the condition on objects shared with a project, whoever owns them.
const sharedOnly = "id IN (SELECT object_id FROM network_shares WHERE action = 'access_as_shared' AND target IN ('*', ?))"

// shareCondition is the condition of the made-up columns about sharing.
func shareCondition(t listing.Term) (db.Cond, bool) {
	switch t.Column {
	case SharedWith:
		return db.Cond{SQL: sharedOnly, Args: t.Values}, true
	case NotSharedWith:
		return db.Cond{SQL: "NOT " + sharedOnly, Args: t.Values}, true
	}
	return db.Cond{}, false
}

// audiences loads with whom objects are shared, by action and object.
func audiences(ctx context.Context, q db.Querier, ids []string) (map[string]map[string]network.Audience, error) {
	out := map[string]map[string]network.Audience{network.AccessShared: {}, network.AccessExternal: {}}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := shareRows.Find(ctx, q, OneOf("object_id", ids))
	for _, r := range rows {
		out[r.Action][r.ObjectID] = append(out[r.Action][r.ObjectID], r.Target)
	}
	return out, err
}

// fillAudience is the fill of a store whose items are shared.
func fillAudience[T any](std func(*T) *network.Standard, to func(*T) *network.Audience) func(context.Context, db.Querier, []*T) error {
	return func(ctx context.Context, q db.Querier, items []*T) error {
		ids := make([]string, len(items))
		for i, t := range items {
			ids[i] = std(t).ID
		}
		all, err := audiences(ctx, q, ids)
		for _, t := range items {
			*to(t) = all[network.AccessShared][std(t).ID]
		}
		return err
	}
}

// ShareWithAll lets every project use an object, or no longer.
func (r *Records) ShareWithAll(ctx context.Context, tx *db.Tx, objectType string, of network.Standard, action string, on bool) error {
	if !on {
		_, err := shareRows.DeleteWhere(ctx, tx, Is("object_id", of.ID), Is("action", action), Is("target", network.Everybody))
		return err
	}
	n, err := shareRows.Count(ctx, tx, Is("object_id", of.ID), Is("action", action), Is("target", network.Everybody))
	if err != nil || n > 0 {
		return err
	}
	p := &network.SharePolicy{Standard: network.Standard{ID: id.New(), ProjectID: of.ProjectID}, ObjectType: objectType, ObjectID: of.ID, Action: action, Target: network.Everybody}
	r.Begin(&p.Standard)
	return r.Shares.Insert(ctx, tx, p)
}

// dropShares forgets with whom an object was shared; it goes away.
func dropShares(ctx context.Context, tx *db.Tx, objectID string) error {
	_, err := shareRows.DeleteWhere(ctx, tx, Is("object_id", objectID))
	return err
}

// Share adds a sharing policy; Conflict when there is such a one.
func (r *Records) Share(ctx context.Context, tx *db.Tx, p *network.SharePolicy) error {
	r.Begin(&p.Standard)
	err := r.Shares.Insert(ctx, tx, p)
	if fault.Is(err, fault.Conflict) {
		return fault.Conflictf("An RBAC policy already exists with those values.").With("DuplicateRbacPolicy")
	}
	return err
}

// MarkShared writes the columns of a network that say whether everybody may
// use it, and whether it is external, after its policies changed.
func (r *Records) MarkShared(ctx context.Context, tx *db.Tx, networkID string) error {
	all, err := audiences(ctx, tx, []string{networkID})
	if err != nil {
		return err
	}
	n, err := networkRows.GetForUpdate(ctx, tx, networkID)
	if err != nil {
		return err
	}
	shared := all[network.AccessShared][networkID].Includes("")
	external := n.External || len(all[network.AccessExternal][networkID]) > 0
	if n.Shared == shared && n.External == external {
		return nil
	}
	r.Changed(tx, network.NetworkScope(networkID))
	return networkRows.Set(ctx, tx, networkID, map[string]any{"shared": shared, "external": external, "revision": n.Revision + 1, "updated_at": r.Now()})
}

// UsingProjects lists the projects that use an object in the way an action lets them.
func (r *Records) UsingProjects(ctx context.Context, q db.Querier, p *network.SharePolicy) ([]string, error) {
	query := map[string]string{
		network.TypeNetwork + network.AccessShared:       "SELECT DISTINCT project_id FROM network_ports WHERE network_id = $1 AND device_owner <> 'network:floatingip'",
		network.TypeNetwork + network.AccessExternal:     "SELECT DISTINCT project_id FROM network_routers WHERE gateway_network_id = $1 UNION SELECT DISTINCT project_id FROM network_floatings WHERE network_id = $1",
		network.TypeSecurityGroup + network.AccessShared: "SELECT DISTINCT project_id FROM network_ports WHERE id IN (SELECT port_id FROM network_port_groups WHERE group_id = $1)",
		network.TypeSubnetPool + network.AccessShared:    "SELECT DISTINCT project_id FROM network_subnets WHERE pool_id = $1 AND pool_id <> ''",
		network.TypeAddressScope + network.AccessShared:  "SELECT DISTINCT project_id FROM network_pools WHERE scope_id = $1",
		network.TypeAddressGroup + network.AccessShared:  "SELECT DISTINCT project_id FROM network_rules WHERE address_group_id = $1 AND address_group_id <> ''",
		network.TypeQoSPolicy + network.AccessShared: "SELECT DISTINCT project_id FROM network_ports WHERE qos_policy_id = $1 UNION SELECT DISTINCT project_id FROM network_networks WHERE qos_policy_id = $1" +
			" UNION SELECT DISTINCT project_id FROM network_floatings WHERE qos_policy_id = $1 UNION SELECT DISTINCT project_id FROM network_routers WHERE gateway_qos_policy_id = $1",
	}[p.ObjectType+p.Action]
	rows, err := q.QueryContext(ctx, query, p.ObjectID)
	if err != nil {
		return nil, db.Translate(err, "list users of a shared object")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var project string
		if err := rows.Scan(&project); err != nil {
			return nil, db.Translate(err, "read users of a shared object")
		}
		if project != "" {
			out = append(out, project)
		}
	}
	return out, db.Translate(rows.Err(), "read users of a shared object")
}

// OwnerOf finds the project that owns an object of a type that can be shared.
func (r *Records) OwnerOf(ctx context.Context, q db.Querier, objectType, objectID string) (string, error) {
	var std standard
	var err error
	read := func(row interface{ Standard() network.Standard }, e error) {
		if err = e; e == nil {
			std.ProjectID = row.Standard().ProjectID
		}
	}
	switch objectType {
	case network.TypeNetwork:
		read(networkRows.Get(ctx, q, objectID))
	case network.TypeSecurityGroup:
		read(groupRows.Get(ctx, q, objectID))
	case network.TypeSubnetPool:
		read(poolRows.Get(ctx, q, objectID))
	case network.TypeAddressScope:
		read(scopeRows.Get(ctx, q, objectID))
	case network.TypeAddressGroup:
		read(addressGroupRows.Get(ctx, q, objectID))
	default:
		read(policyRows.Get(ctx, q, objectID))
	}
	return std.ProjectID, err
}
