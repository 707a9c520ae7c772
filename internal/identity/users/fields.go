package users

import (
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// View is a user as the API shows it. A default project that is not set is
// left out, as upstream does.
func View(c *rest.Call, u *identity.User) map[string]any {
	view := map[string]any{"id": u.ID, "name": u.Name, "domain_id": u.DomainID, "enabled": u.Enabled, "options": optionsView(u.Options),
		"password_expires_at": expiryView(u.Password.ExpiresAt), "links": wire.Self(c, "/users/"+u.ID)}
	if u.DefaultProjectID != "" {
		view["default_project_id"] = u.DefaultProjectID
	}
	if len(u.Federated) > 0 {
		view["federated"] = federatedView(u.Federated)
	}
	return wire.With(view, u.Extra)
}

func expiryView(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format("2006-01-02T15:04:05.000000")
}

func optionsView(o identity.UserOptions) map[string]any {
	out := map[string]any{}
	for name, v := range map[string]*bool{
		"ignore_change_password_upon_first_use": o.IgnoreChangePasswordUponFirstUse, "ignore_password_expiry": o.IgnorePasswordExpiry,
		"ignore_lockout_failure_attempts": o.IgnoreLockoutFailureAttempts, "ignore_user_inactivity": o.IgnoreUserInactivity,
		"lock_password": o.LockPassword, "multi_factor_auth_enabled": o.MultiFactorAuthEnabled,
	} {
		if v != nil {
			out[name] = *v
		}
	}
	if o.MultiFactorAuthRules != nil {
		out["multi_factor_auth_rules"] = o.MultiFactorAuthRules
	}
	return out
}

func target(u *identity.User) policy.Target {
	return policy.Target{"target.user.id": u.ID, "target.user.domain_id": u.DomainID, "user_id": u.ID}
}

// index is the list of users; load may confine it to a group.
func (a *api) index() wire.List[identity.User] {
	filters := wire.Text("name", "name")
	filters = append(filters, wire.Text("domain_id", "domain_id")[0], wire.Flag("enabled", "enabled"),
		rest.Filter{Name: "password_expires_at", Terms: expiryTerms})
	return wire.List[identity.User]{Many: "users", Filters: filters, Load: a.s.List, View: View, ID: func(u *identity.User) string { return u.ID }}
}

// expiryTerms reads "gt:2026-01-01T00:00:00Z".
func expiryTerms(_ *rest.Call, values []string) ([]listing.Term, error) {
	word, text, ok := strings.Cut(values[len(values)-1], ":")
	op, known := map[string]listing.Op{"lt": listing.Less, "lte": listing.LessEq, "gt": listing.More, "gte": listing.MoreEq,
		"eq": listing.Eq, "neq": listing.NotEq}[word]
	at, err := time.Parse(time.RFC3339, text)
	if !ok || !known || err != nil {
		return nil, fault.Invalidf("Invalid filter for password_expires_at: use OPERATOR:TIME with a time such as %s.", time.RFC3339)
	}
	return []listing.Term{{Column: "password_expires_at", Op: listing.More, Values: []any{int64(0)}},
		{Column: "password_expires_at", Op: op, Values: []any{clock.Micros(at)}}}, nil
}

// optionsInput is the options member of a body: a null removes an option.
type optionsInput struct {
	IgnoreChangePasswordUponFirstUse rest.Opt[bool]       `json:"ignore_change_password_upon_first_use"`
	IgnorePasswordExpiry             rest.Opt[bool]       `json:"ignore_password_expiry"`
	IgnoreLockoutFailureAttempts     rest.Opt[bool]       `json:"ignore_lockout_failure_attempts"`
	IgnoreUserInactivity             rest.Opt[bool]       `json:"ignore_user_inactivity"`
	LockPassword                     rest.Opt[bool]       `json:"lock_password"`
	MultiFactorAuthEnabled           rest.Opt[bool]       `json:"multi_factor_auth_enabled"`
	MultiFactorAuthRules             rest.Opt[[][]string] `json:"multi_factor_auth_rules"`
}

// over lays the input over stored options.
func (in *optionsInput) over(o identity.UserOptions) (identity.UserOptions, error) {
	set := func(into **bool, v rest.Opt[bool]) {
		if v.Set {
			*into = nil
			if !v.Null {
				*into = &v.V
			}
		}
	}
	set(&o.IgnoreChangePasswordUponFirstUse, in.IgnoreChangePasswordUponFirstUse)
	set(&o.IgnorePasswordExpiry, in.IgnorePasswordExpiry)
	set(&o.IgnoreLockoutFailureAttempts, in.IgnoreLockoutFailureAttempts)
	set(&o.IgnoreUserInactivity, in.IgnoreUserInactivity)
	set(&o.LockPassword, in.LockPassword)
	set(&o.MultiFactorAuthEnabled, in.MultiFactorAuthEnabled)
	if in.MultiFactorAuthRules.Set {
		o.MultiFactorAuthRules = in.MultiFactorAuthRules.V
		for _, rule := range o.MultiFactorAuthRules {
			if len(rule) == 0 {
				return o, fault.Invalidf("Invalid input for field 'multi_factor_auth_rules': a rule names at least one method.")
			}
		}
	}
	return o, nil
}
