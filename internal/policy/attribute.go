package policy

import "strings"

// newAttributeCheck resolves a name of oslo.context's or Keystone's to the
// member of Credentials that holds it; other names are looked up in Extra.
func newAttributeCheck(kind string, match pattern) check {
	c := attributeCheck{kind: kind, match: match}
	if c.get = scalar(kind); c.get == nil {
		c.list = listed(kind)
	}
	if c.get == nil && c.list == nil {
		c.path = strings.Split(kind, ".")
	}
	return c
}

func scalar(kind string) func(*Credentials) string {
	switch kind {
	case "user_id", "user", "token.user.id":
		return func(c *Credentials) string { return c.UserID }
	case "user_name", "token.user.name":
		return func(c *Credentials) string { return c.UserName }
	case "user_domain_id", "token.user.domain.id":
		return func(c *Credentials) string { return c.UserDomainID }
	case "user_domain_name", "token.user.domain.name":
		return func(c *Credentials) string { return c.UserDomainName }
	case "project_id", "tenant_id", "tenant", "project", "token.project.id":
		return func(c *Credentials) string { return c.ProjectID }
	case "project_name", "tenant_name", "token.project.name":
		return func(c *Credentials) string { return c.ProjectName }
	case "project_domain_id", "token.project.domain.id":
		return func(c *Credentials) string { return c.ProjectDomainID }
	case "project_domain_name", "token.project.domain.name":
		return func(c *Credentials) string { return c.ProjectDomainName }
	case "domain_id", "domain", "token.domain.id":
		return func(c *Credentials) string { return c.DomainID }
	case "domain_name", "token.domain.name":
		return func(c *Credentials) string { return c.DomainName }
	case "system_scope", "system":
		return func(c *Credentials) string { return c.SystemScope }
	case "service_user_id":
		return func(c *Credentials) string { return c.ServiceUserID }
	case "is_admin_project", "token.is_admin_project":
		return func(c *Credentials) string { s, _ := text(c.IsAdminProject); return s }
	}
	return nil
}

func listed(kind string) func(*Credentials) []string {
	switch kind {
	case "roles":
		return func(c *Credentials) []string { return c.Roles }
	case "service_roles", "service_role":
		return func(c *Credentials) []string { return c.ServiceRoles }
	case "token.roles.id", "role_ids":
		return func(c *Credentials) []string { return c.RoleIDs }
	case "token.roles.name":
		return func(c *Credentials) []string { return c.Roles }
	case "token.methods":
		return func(c *Credentials) []string { return c.Methods }
	case "audit_ids", "token.audit_ids":
		return func(c *Credentials) []string { return c.AuditIDs }
	}
	return nil
}
