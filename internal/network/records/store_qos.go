package records

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
)

type policyRow struct {
	standard
	IsDefault bool `db:"is_default"`
}

type qosRuleRow struct {
	standard
	PolicyID  string `db:"policy_id"`
	Kind      string `db:"kind"`
	Direction string `db:"direction"`
	Rate      int    `db:"rate"`
	Burst     int    `db:"burst"`
}

var (
	policyRows  = db.NewTable[policyRow]("network_qos_policies", "id", "QoS policy")
	qosRuleRows = db.NewTable[qosRuleRow]("network_qos_rules", "id", "QoS rule")
)

// Policies reads and writes QoS policies, QoSRules their rules.
type (
	Policies = Store[policyRow, network.QoSPolicy]
	QoSRules = Store[qosRuleRow, network.QoSRule]
)

func policies(d *db.DB) *Policies {
	std := func(p *network.QoSPolicy) *network.Standard { return &p.Standard }
	audience := fillAudience(std, func(p *network.QoSPolicy) *network.Audience { return &p.SharedWith })
	return &Policies{db: d, table: policyRows, pseudo: map[string]string{Visible: sharedObjects}, std: std,
		of: func(r *policyRow) *network.QoSPolicy {
			return &network.QoSPolicy{Standard: r.Standard(), IsDefault: r.IsDefault}
		},
		row: func(p *network.QoSPolicy) *policyRow { return &policyRow{standardOf(p.Standard), p.IsDefault} },
		fill: func(ctx context.Context, q db.Querier, items []*network.QoSPolicy) error {
			byID := map[string]*network.QoSPolicy{}
			ids := make([]string, len(items))
			for i, p := range items {
				byID[p.ID], ids[i] = p, p.ID
			}
			rows, err := qosRuleRows.Find(ctx, q, OneOf("policy_id", ids))
			if err != nil {
				return err
			}
			for _, r := range rows {
				byID[r.PolicyID].Rules = append(byID[r.PolicyID].Rules, *r.rule())
			}
			return audience(ctx, q, items)
		},
	}
}

func (r *qosRuleRow) rule() *network.QoSRule {
	return &network.QoSRule{Standard: r.Standard(), PolicyID: r.PolicyID, Kind: r.Kind, Direction: r.Direction, Rate: r.Rate, Burst: r.Burst}
}

func qosRules(d *db.DB) *QoSRules {
	return &QoSRules{db: d, table: qosRuleRows, of: (*qosRuleRow).rule, std: func(r *network.QoSRule) *network.Standard { return &r.Standard },
		row: func(r *network.QoSRule) *qosRuleRow {
			return &qosRuleRow{standardOf(r.Standard), r.PolicyID, r.Kind, r.Direction, r.Rate, r.Burst}
		}}
}

// PolicyUser is a kind of object that policies are put on.
type PolicyUser struct{ Networks, Ports, Routers, Floatings []string }

// UsersOf lists what a QoS policy is on.
func (r *Records) UsersOf(ctx context.Context, q db.Querier, policyID string) (u PolicyUser, err error) {
	networks, err := r.Networks.Where(ctx, q, Is("qos_policy_id", policyID))
	if err != nil {
		return u, err
	}
	for _, n := range networks {
		u.Networks = append(u.Networks, n.ID)
	}
	ports, err := portRows.Find(ctx, q, Is("qos_policy_id", policyID))
	if err != nil {
		return u, err
	}
	for _, p := range ports {
		u.Ports = append(u.Ports, p.ID)
	}
	routers, err := routerRows.Find(ctx, q, Is("gateway_qos_policy_id", policyID))
	if err != nil {
		return u, err
	}
	for _, x := range routers {
		u.Routers = append(u.Routers, x.ID)
	}
	floatings, err := floatingRows.Find(ctx, q, Is("qos_policy_id", policyID))
	for _, f := range floatings {
		u.Floatings = append(u.Floatings, f.ID)
	}
	return u, err
}

// PolicyChanged has everything rendered again that a QoS policy is on.
func (r *Records) PolicyChanged(ctx context.Context, tx *db.Tx, policyID string) error {
	u, err := r.UsersOf(ctx, tx, policyID)
	if err != nil {
		return err
	}
	for _, n := range u.Networks {
		if err := r.NetworkPorts(ctx, tx, n); err != nil {
			return err
		}
	}
	for _, p := range u.Ports {
		r.Changed(tx, network.PortScope(p))
	}
	for _, x := range u.Routers {
		r.Changed(tx, network.RouterScope(x))
	}
	for _, f := range u.Floatings {
		r.Changed(tx, network.FloatingScope(f))
	}
	return nil
}

// NetworkPorts has all ports of a network rendered again.
func (r *Records) NetworkPorts(ctx context.Context, tx *db.Tx, networkID string) error {
	ports, err := portRows.Find(ctx, tx, Is("network_id", networkID))
	for _, p := range ports {
		r.Changed(tx, network.PortScope(p.ID))
	}
	return err
}

// PinPolicy keeps a QoS policy from going away until tx ends, where an object
// gets another one; NotFound when it is gone.
func PinPolicy(ctx context.Context, tx *db.Tx, before, after string) error {
	if after == "" || after == before {
		return nil
	}
	_, err := policyRows.GetForUpdate(ctx, tx, after)
	return missingAs(err, fault.NotFoundf("QoS policy %s could not be found.", after).With("QosPolicyNotFound"))
}

// DefaultPolicy is the QoS policy that new networks of a project get; empty: none.
func (r *Records) DefaultPolicy(ctx context.Context, q db.Querier, projectID string) (string, error) {
	return r.ownPolicies.Get(q, projectID, func() (string, error) {
		found, err := policyRows.Find(ctx, q, Is("project_id", projectID), Is("is_default", true))
		if err != nil || len(found) == 0 {
			return "", err
		}
		return found[0].ID, nil
	})
}
