package policy

import (
	"strings"
	"testing"
)

// The rules of OpenStack's services, as their policy modules spell them in
// mid-2026, each with who may (the letters) among the personas of upstreamPersonas.
var upstreamRules = []struct {
	service, check string
	on             Target
	may            string
}{
	{"keystone", "rule:admin_required or (role:reader and system_scope:all) or rule:owner", Target{"user_id": "member"}, "a s S m"},
	{"keystone", "(rule:admin_required) or (role:reader and system_scope:all) or user_id:%(target.credential.user_id)s", Target{"target": map[string]any{"credential": map[string]any{"user_id": "reader"}}}, "a s S r"},
	{"keystone", "(rule:admin_required) or (role:member and user_id:%(target.credential.user_id)s)", Target{"target.credential.user_id": "reader"}, "a S"},
	{"keystone", "rule:admin_required or token.project.domain.id:%(target.domain.id)s", Target{"target.domain.id": "d1"}, "a S g m r f"},
	{"keystone", "(rule:admin_required) or (role:reader and system_scope:all) or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s", Target{"target.domain.id": "d1"}, "a s S g m r f d"},
	{"keystone", "(role:reader and system_scope:all) or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s", Target{"target.user.domain_id": "d1", "target.user.id": "u"}, "s S d"},
	{"keystone", "rule:admin_required or (role:manager and not domain_id:None)", nil, "a S d"},
	{"keystone", "(role:manager and domain_id:%(target.project.domain_id)s and rule:domain_managed_target_role) or rule:admin_required", Target{"target.project.domain_id": "d1", "target.role.name": "member"}, "a S d"},
	{"keystone", "(role:manager and domain_id:%(target.project.domain_id)s and rule:domain_managed_target_role) or rule:admin_required", Target{"target.project.domain_id": "d1", "target.role.name": "admin"}, "a S"},
	{"keystone", "rule:admin_required or domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s", Target{"target.role.domain_id": nil}, "a s S g m r f d v 0"},
	{"keystone", "project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s", Target{"target.limit.project_id": "p1"}, "a g m r"},
	{"keystone", "project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s", Target{"target.limit.project_id": nil}, ""},
	{"keystone", "rule:service_admin_or_token_subject", Target{"target.token.user_id": "foreign"}, "a S f v"},
	{"nova", "rule:project_reader_or_admin", Target{"project_id": "p1"}, "a S g m r"},
	{"nova", "rule:project_member_or_admin", Target{"project_id": "p1"}, "a S g m"},
	{"nova", "rule:project_manager_or_admin", Target{"project_id": "p1"}, "a S g"},
	{"nova", "rule:context_is_admin", Target{"project_id": "p1"}, "a S"},
	{"nova", "is_admin:True or project_id:%(project_id)s", Target{"project_id": "p1"}, "a S g m r"},
	{"nova", "rule:admin_api or role:service", nil, "a S v"},
	{"neutron", "not rule:network_device or rule:context_is_advsvc or rule:admin_or_network_owner", Target{"device_owner": "network:dhcp", "network:tenant_id": "p1"}, "a S g m r"},
	{"neutron", "not rule:network_device or rule:context_is_advsvc or rule:admin_or_network_owner", Target{"device_owner": "compute:nova", "network:tenant_id": "p1"}, "a s S g m r f d v 0"},
	{"neutron", "rule:admin_only or (role:reader and project_id:%(project_id)s) or rule:shared or rule:external or rule:context_is_advsvc", Target{"project_id": "p9", "shared": true, "router:external": false}, "a s S g m r f d v 0"},
	{"neutron", "rule:admin_only or (role:reader and project_id:%(project_id)s) or rule:shared or rule:external or rule:context_is_advsvc", Target{"project_id": "p1", "shared": false, "router:external": false}, "a S g m r"},
	{"neutron", "(rule:admin_only) or (role:member and rule:network_owner)", Target{"network:project_id": "p1"}, "a S g m"},
	{"neutron", "rule:service_api or rule:admin_only", nil, "a S v"},
	{"neutron", "(rule:admin_only or (role:reader and tenant_id:%(tenant_id)s)) and field:policies:is_default=False", Target{"tenant_id": "p1", "is_default": false}, "a S g m r"},
	{"cinder", "rule:xena_system_admin_or_project_member", Target{"project_id": "p1"}, "a S g m"},
	{"cinder", "is_admin:True or (role:admin and is_admin_project:True) or  project_id:%(project_id)s", Target{"project_id": "p1"}, "a S g m r"},
	{"cinder", "rule:xena_system_admin_or_project_reader and not \"deleted\":%(status)s", Target{"project_id": "p1", "status": "available"}, "a S g m r"},
	{"glance", `role:admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or "community":%(visibility)s or "public":%(visibility)s or "shared":%(visibility)s))`, Target{"project_id": "p9", "member_id": "p2", "visibility": "private"}, "a S f"},
	{"glance", `role:admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or "community":%(visibility)s or "public":%(visibility)s or "shared":%(visibility)s))`, Target{"project_id": "p9", "visibility": "public"}, "a s S g m r f d"},
	{"glance", "role:admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)", Target{"project_id": "p1", "owner": "p2"}, "a S"},
	{"placement", "rule:admin_or_service_api", nil, "a S v"},
	{"placement", "rule:admin_or_project_reader_or_service_api", Target{"project_id": "p1"}, "a S g m r v"},
}

// rules of single services that the table refers to.
func serviceRules() []Rule {
	return []Rule{
		{Name: "owner", Check: "user_id:%(user_id)s"},
		{Name: "token_subject", Check: "user_id:%(target.token.user_id)s"},
		{Name: "service_admin_or_token_subject", Check: "rule:service_or_admin or rule:token_subject"},
		{Name: "domain_managed_target_role", Check: "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"},
		{Name: "network_device", Check: "field:port:device_owner=~^network:"},
		{Name: "context_is_advsvc", Check: "role:advsvc"},
		{Name: "admin_or_network_owner", Check: "rule:context_is_admin or tenant_id:%(network:tenant_id)s"},
		{Name: "network_owner", Check: "tenant_id:%(network:tenant_id)s"},
		{Name: "shared", Check: "field:networks:shared=True"},
		{Name: "external", Check: "field:networks:router:external=True"},
	}
}

func upstreamPersonas() map[string]*Credentials {
	in := func(user, project, domain string, roles ...string) *Credentials {
		return &Credentials{UserID: user, ProjectID: project, ProjectDomainID: domain, Roles: roles}
	}
	return map[string]*Credentials{
		"a": in("admin", "p1", "d1", "admin", "manager", "member", "reader"),
		"g": in("manager", "p1", "d1", "manager", "member", "reader"),
		"m": in("member", "p1", "d1", "member", "reader"),
		"r": in("reader", "p1", "d1", "reader"),
		"f": in("foreign", "p2", "d1", "member", "reader"),
		"v": in("service", "p3", "d9", "service"),
		"d": {UserID: "domain", DomainID: "d1", Roles: []string{"manager", "member", "reader"}},
		"s": {UserID: "sysreader", SystemScope: "all", Roles: []string{"reader"}},
		"S": {UserID: "sysadmin", SystemScope: "all", Roles: []string{"admin", "manager", "member", "reader"}},
		"0": {UserID: "unscoped"},
	}
}

func TestUpstreamRules(t *testing.T) {
	personas := upstreamPersonas()
	for _, tc := range upstreamRules {
		e := must(t, Options{}, Base(), serviceRules(), []Rule{{Name: "tested", Check: tc.check}})
		for letter, who := range personas {
			want := strings.Contains(" "+tc.may+" ", " "+letter+" ")
			if got := e.Allow("tested", who, tc.on); got != want {
				t.Errorf("%s %q on %v: %s (%s) %v, want %v", tc.service, tc.check, tc.on, letter, who.UserID, got, want)
			}
		}
	}
}
