package identityapi

import "github.com/mekcloud/mek/internal/check"

const reportIt = "report it with this line"

var (
	widerTrust = check.Code{ID: "I-25/trust", Means: "a redelegated trust gives more than the one it came from", Remedy: "openstack trust delete"}
	widerRule  = check.Code{ID: "I-25/access-rule", Means: "an application credential has access rules of another user", Remedy: "openstack application credential delete"}
	farTree    = check.Code{ID: "I-09/project-parent", Means: "a project of one domain hangs on one of another", Remedy: reportIt}
	noDomain   = check.Code{ID: "I-09/provider-domain", Means: "an identity provider's domain is a project that is none", Remedy: reportIt}
	noSubject  = check.Code{ID: "I-25/assignment", Means: "a role is granted to nobody, or on nothing", Remedy: reportIt}
)

// Checks are the conservation queries of identity. What a credential may do is
// cut down to what its user may at each use; these look at what is kept.
func (s *Service) Checks() []check.Check {
	return []check.Check{check.Queries("identity/rows",
		check.Query{Code: widerTrust, Kind: "trust", SQL: `SELECT c.id, 'it gives role ' || r.role_id || ', which trust ' || p.id || ' does not', '' FROM identity_trusts c
			JOIN identity_trusts p ON p.id = c.redelegated_id JOIN identity_trust_roles r ON r.trust_id = c.id
			WHERE r.role_id NOT IN (SELECT role_id FROM identity_trust_roles WHERE trust_id = p.id)`},
		check.Query{Code: widerTrust, Kind: "trust", SQL: `SELECT c.id, 'it lasts longer than trust ' || p.id, '' FROM identity_trusts c JOIN identity_trusts p ON p.id = c.redelegated_id
			WHERE p.expires_at <> 0 AND (c.expires_at = 0 OR c.expires_at > p.expires_at)`},
		check.Query{Code: widerTrust, Kind: "trust", SQL: `SELECT c.id, 'it is for another project than trust ' || p.id, '' FROM identity_trusts c JOIN identity_trusts p ON p.id = c.redelegated_id
			WHERE COALESCE(c.project_id, '') <> COALESCE(p.project_id, '')`},
		check.Query{Code: widerTrust, Kind: "trust", SQL: `SELECT c.id, 'it may be passed on ' || CAST(c.redelegation_count AS text) || ' times, trust ' || p.id || ' ' || CAST(p.redelegation_count AS text), ''
			FROM identity_trusts c JOIN identity_trusts p ON p.id = c.redelegated_id WHERE c.redelegation_count >= p.redelegation_count`},
		check.Query{Code: widerRule, Kind: "application credential", SQL: `SELECT a.id, 'rule ' || r.id || ' is of user ' || r.user_id || ', the credential of ' || a.user_id, '' FROM identity_app_credentials a
			JOIN identity_app_credential_rules x ON x.app_credential_id = a.id JOIN identity_access_rules r ON r.id = x.rule_id WHERE r.user_id <> a.user_id`},
		check.Query{Code: farTree, Kind: "project", SQL: `SELECT c.id, 'it is in domain ' || COALESCE(c.domain_id, '') || ', its parent ' || p.id || ' in ' || COALESCE(p.domain_id, p.id), '' FROM identity_projects c
			JOIN identity_projects p ON p.id = c.parent_id WHERE NOT c.is_domain AND COALESCE(c.domain_id, '') <> COALESCE(p.domain_id, p.id)`},
		check.Query{Code: noDomain, Kind: "identity provider", SQL: `SELECT i.id, 'its domain ' || p.id || ' is a project', '' FROM identity_providers i
			JOIN identity_projects p ON p.id = i.domain_id WHERE NOT p.is_domain`},
		check.Query{Code: noSubject, Kind: "assignment", SQL: `SELECT id, 'it grants role ' || role_id || ' to nobody, or on nothing', '' FROM identity_assignments
			WHERE user_id IS NULL AND group_id IS NULL OR project_id IS NULL AND domain_id IS NULL AND NOT system`})}
}
