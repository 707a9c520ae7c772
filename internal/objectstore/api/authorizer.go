package objectstoreapi

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// authorizer asks package access, and looks at the account only where the
// container's list and the caller's roles do not suffice.
type authorizer struct {
	store    objectstore.Store
	settings access.Settings
}

// Authorize implements swift.Authorizer.
func (a *authorizer) Authorize(r *swift.Request, acl string) error {
	ask := access.Ask{Method: r.Method, Account: r.Account, Container: r.Container, Object: r.Object, Referer: r.Call.Header.Get("Referer"), List: acl}
	grant := a.settings.Decide(r.Caller(), ask)
	if !grant.Owner && r.Caller().UserID != "" {
		account, err := a.store.Account(r.Context(), r.Account)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			ask.AccountKnown, ask.AccountList, ask.AccountDomain = true, account.Headers[objectstore.HeaderAccountAccess], account.Headers[objectstore.HeaderProjectDomain]
			grant = a.settings.Decide(r.Caller(), ask)
		}
	}
	if !grant.Allowed {
		return swift.Denied(r)
	}
	r.Owner, r.Reseller = grant.Owner, grant.Reseller
	return r.Permit(acl)
}
