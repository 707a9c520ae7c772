package appcreds

import (
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) view(c *rest.Call, ac *identity.AppCredential) map[string]any {
	roles := []map[string]any{}
	for _, r := range ac.Roles {
		roles = append(roles, map[string]any{"id": r.ID, "name": r.Name, "domain_id": nil})
	}
	view := map[string]any{"id": ac.ID, "name": ac.Name, "description": wire.OrNull(ac.Description), "user_id": ac.UserID, "project_id": ac.ProjectID,
		"system": nil, "roles": roles, "unrestricted": ac.Unrestricted, "expires_at": nil,
		"links": wire.Self(c, "/users/"+ac.UserID+"/application_credentials/"+ac.ID)}
	if !ac.ExpiresAt.IsZero() {
		view["expires_at"] = ac.ExpiresAt.Format("2006-01-02T15:04:05.000000")
	}
	if len(ac.Rules) > 0 {
		view["access_rules"] = ac.Rules
	}
	return view
}

func ruleView(c *rest.Call, r *identity.AccessRule) map[string]any {
	return map[string]any{"id": r.ID, "service": r.Service, "path": r.Path, "method": r.Method,
		"links": wire.Self(c, "/users/"+r.UserID+"/access_rules/"+r.ID)}
}

// parseEnd reads an expiry: ISO 8601 with or without zone and microseconds.
func parseEnd(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05-0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.Invalidf("Timestamp not in expected format. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
}

// validPath accepts a path pattern of an access rule.
func validPath(p string) bool {
	return strings.HasPrefix(p, "/") && len(p) <= 255 && !strings.ContainsAny(p, " \t\r\n?#")
}
