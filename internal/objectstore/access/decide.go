package access

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/policy"
)

// Settings are Swift's options of keystoneauth. Names of roles mean the same in any case.
type Settings struct {
	Prefix        string   // of accounts that belong to projects: "AUTH_"
	ServicePrefix string   // of accounts that ask for a service token as well; empty: none
	OperatorRoles []string // own their project's account
	ReaderRoles   []string // may read it
	ResellerAdmin string   // may do everything everywhere
	ServiceRoles  []string // of the service token for ServicePrefix
	SystemReaders []string // may read everything
	DefaultDomain string   // in which names stand for ids in lists
}

// Ask is what somebody wants.
type Ask struct {
	Method                     string
	Account, Container, Object string
	Referer                    string
	List                       string // of the container, for this method
	AccountKnown               bool   // the account exists, and the next two are its own
	AccountList                string // X-Account-Access-Control as it is stored
	AccountDomain              string // of its project, where somebody has noted it
}

// Grant is the decision.
type Grant struct {
	Allowed  bool
	Owner    bool // may see and change what only owners may: lists and keys
	Reseller bool // may make and delete accounts
}

var refused = Grant{}

// Decide answers. A caller without UserID has no token. Who owns the account is
// asked first, so that an owner stays one where a list lets everybody in.
func (s Settings) Decide(c *policy.Credentials, a Ask) Grant {
	list := Parse(a.List)
	reading := a.Method == "GET" || a.Method == "HEAD"
	if c.UserID == "" {
		return Grant{Allowed: s.known(a.Account) && byReferrer(list, a) == yes}
	}
	if c.HasRole(s.ResellerAdmin) {
		return Grant{Allowed: true, Owner: true, Reseller: true}
	}
	if reading && hasAny(c.Roles, s.SystemReaders) {
		return Grant{Allowed: true}
	}
	if a.Container == "" && a.Object == "" && a.Method == "DELETE" {
		return refused // nobody deletes an account of his own
	}
	if s.own(c, a.Account) && hasAny(c.Roles, s.OperatorRoles) && (!s.asksService(a.Account) || hasAny(c.ServiceRoles, s.ServiceRoles)) {
		return Grant{Allowed: true, Owner: true}
	}
	if g := s.byAccountList(c, a, reading); g.Allowed {
		return g
	}
	if s.named(c, a, list) {
		return Grant{Allowed: true}
	}
	referrer := byReferrer(list, a)
	if referrer == yes {
		return Grant{Allowed: true}
	}
	if !s.own(c, a.Account) {
		return refused
	}
	if reading && hasAny(c.Roles, s.ReaderRoles) {
		return Grant{Allowed: true}
	}
	if referrer == no {
		return refused
	}
	return Grant{Allowed: slices.ContainsFunc(c.Roles, list.hasRole)}
}

type answer uint8

const (
	unsaid answer = iota
	yes
	no // the referrer may read objects, but not lists
)

func byReferrer(l List, a Ask) answer {
	if !l.Referrer(a.Referer) {
		return unsaid
	}
	if a.Object != "" || l.Has(Listings) {
		return yes
	}
	return no
}

func (s Settings) known(account string) bool {
	return strings.HasPrefix(account, s.Prefix) || s.ServicePrefix != "" && strings.HasPrefix(account, s.ServicePrefix)
}

func (s Settings) asksService(account string) bool {
	return s.ServicePrefix != "" && strings.HasPrefix(account, s.ServicePrefix)
}

// own tells whether the account is the one of the project the token is for.
func (s Settings) own(c *policy.Credentials, account string) bool {
	return c.ProjectID != "" && (account == s.Prefix+c.ProjectID || s.ServicePrefix != "" && account == s.ServicePrefix+c.ProjectID)
}

// named tells whether a container's list names "project:user" of the caller.
func (s Settings) named(c *policy.Credentials, a Ask, l List) bool {
	if len(l.Groups) == 0 {
		return false
	}
	projects, users := []string{c.ProjectID, "*"}, []string{c.UserID, "*"}
	if s.namesCount(c, a) {
		projects, users = append(projects, c.ProjectName), append(users, c.UserName)
	}
	for _, p := range projects {
		for _, u := range users {
			if l.Has(p + ":" + u) {
				return true
			}
		}
	}
	return false
}

// namesCount tells whether names are as good as ids: only where the user, the
// project and the account are all of the default domain, in which names are unique
// but for those of users whom identity providers brought.
func (s Settings) namesCount(c *policy.Credentials, a Ask) bool {
	if identity.ShadowOf(c) || !s.isDefault(c.UserDomainID) || !s.isDefault(c.ProjectDomainID) {
		return false
	}
	return s.own(c, a.Account) || a.AccountKnown && s.isDefault(a.AccountDomain)
}

func (s Settings) isDefault(domain string) bool { return domain == "" || domain == s.DefaultDomain }

// byAccountList looks for the caller in the account's list: as a user, as a
// project, or as "project:user".
func (s Settings) byAccountList(c *policy.Credentials, a Ask, reading bool) Grant {
	if a.AccountList == "" {
		return refused
	}
	l := ParseAccount(a.AccountList)
	names := s.callerNames(c, a)
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(n string) bool { return slices.Contains(names, n) })
	}
	switch {
	case has(l.Admin):
		return Grant{Allowed: true, Owner: true}
	case has(l.ReadWrite) && (reading || a.Container != ""):
		return Grant{Allowed: true}
	case has(l.ReadOnly) && reading:
		return Grant{Allowed: true}
	}
	return refused
}

func (s Settings) callerNames(c *policy.Credentials, a Ask) []string {
	var names []string
	add := func(project, user string) {
		if user != "" {
			names = append(names, user)
		}
		if project != "" {
			names = append(names, project, project+":"+user)
		}
	}
	add(c.ProjectID, c.UserID)
	if s.namesCount(c, a) {
		add(c.ProjectName, c.UserName)
	}
	return names
}

func hasAny(have, want []string) bool {
	return slices.ContainsFunc(have, func(r string) bool {
		return slices.ContainsFunc(want, func(w string) bool { return strings.EqualFold(r, w) })
	})
}
