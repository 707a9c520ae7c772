package policy

import (
	"strings"
	"time"
)

// Credentials is what is known of a caller. They are shared between requests:
// readers MUST NOT change them.
type Credentials struct {
	UserID, UserName, UserDomainID, UserDomainName             string
	ProjectID, ProjectName, ProjectDomainID, ProjectDomainName string
	DomainID, DomainName                                       string // of a domain-scoped token
	SystemScope                                                string // "all", or empty
	Roles, RoleIDs                                             []string
	ServiceUserID                                              string // of the X-Service-Token, if one came
	ServiceRoles                                               []string
	IsAdminProject                                             bool
	TokenKey                                                   string // digest for caches, never the token
	Methods, AuditIDs                                          []string
	Issued, Expires                                            time.Time
	// Permits narrows the token to some requests (access rules of application
	// credentials): a catalog type, a method and a path below the service's
	// address. Nil permits all. Package rest asks it before any rule.
	Permits func(service, method, path string) bool
	// Extra holds further attributes, nested maps allowed; checks reach them by dotted names.
	Extra map[string]any
}

// HasRole tells whether the caller has a role, in any case.
func (c *Credentials) HasRole(name string) bool {
	for _, r := range c.Roles {
		if strings.EqualFold(r, name) {
			return true
		}
	}
	return false
}

// Scope is what the token is scoped to: "system", "domain" or "project".
// Unscoped tokens count as "project", as oslo.policy has it.
func (c *Credentials) Scope() string {
	switch {
	case c.SystemScope != "":
		return ScopeSystem
	case c.DomainID != "":
		return ScopeDomain
	}
	return ScopeProject
}

// The scopes a rule may name.
const (
	ScopeSystem  = "system"
	ScopeDomain  = "domain"
	ScopeProject = "project"
)

// Rule is a named check with its default.
type Rule struct {
	Name        string
	Check       string   // in the policy language; empty allows everyone
	Description string   // for the sample file
	Scopes      []string // scopes of tokens that may use it; empty: all
	Deprecated  string   // older check, or-ed while Options.OldDefaults is set
}

// Target describes the object of a request. Keys such as "target.user.id" may
// be written dotted or as nested maps. tenant_id and project_id stand for each other.
type Target map[string]any
