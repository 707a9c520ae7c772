package app

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/mekcloud/mek/internal/identity"
	identityapi "github.com/mekcloud/mek/internal/identity/api"
	"github.com/mekcloud/mek/internal/identity/passwords"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/internal/rest"
)

// offered is the catalog: which service stands behind which types, and where.
// Addresses that begin with a slash are of our own front door.
var offered = []struct {
	service string // name of the rest.Service
	entry   identity.CatalogEntry
}{
	{"keystone", identity.CatalogEntry{Type: "identity", Name: "keystone", URL: "/identity", AdminURL: "/identity_admin"}},
	{"nova", identity.CatalogEntry{Type: "compute", Name: "nova", URL: "/compute/v2.1"}},
	{"cinder", identity.CatalogEntry{Type: "volumev3", Name: "cinderv3", URL: "/volume/v3"}},
	{"cinder", identity.CatalogEntry{Type: "block-storage", Name: "cinder", URL: "/volume/v3"}},
	{"glance", identity.CatalogEntry{Type: "image", Name: "glance", URL: "/image"}},
	{"neutron", identity.CatalogEntry{Type: "network", Name: "neutron", URL: "/networking"}},
	{"placement", identity.CatalogEntry{Type: "placement", Name: "placement", URL: "/placement"}},
	{"swift", identity.CatalogEntry{Type: "object-store", Name: "swift", URL: "/v1/AUTH_$(project_id)s"}},
}

// identity builds Keystone and makes the first users and projects.
func (b *builder) identity(ctx context.Context) error {
	sealer, err := pki.NewSealer(b.Master, "identity")
	if err != nil {
		return err
	}
	rules, err := compliance(b)
	if err != nil {
		return err
	}
	cost := passwords.DefaultCost
	if b.Config.Identity.PasswordHash == "bcrypt" {
		cost = passwords.BcryptCost()
	}
	federation, err := federationOf(b)
	if err != nil {
		return err
	}
	s, err := identityapi.New(ctx, identityapi.Deps{DB: b.DB, Clock: b.Clock, Sealer: sealer, Compliance: rules, PasswordCost: cost,
		TokenLifetime: b.Config.Identity.TokenLifetime, Shared: b.Peers != nil, PublicURL: b.Config.PublicURL, Logins: b.logins(), Federation: federation})
	if err != nil {
		return err
	}
	if err := s.Bootstrap(ctx, b.seeds()); err != nil {
		return err
	}
	b.shared.auth, b.shared.identity = s.Authenticator(), s
	b.shared.keys, b.shared.directory = s.AccessKeys(), s.Directory()
	b.heard[identityapi.Topic] = func(ctx context.Context, _ string) {
		if err := s.Heard(ctx); err != nil && ctx.Err() == nil {
			b.Log.Debug("identity cannot be read; it is polled anyway", "error", err)
		}
	}
	loop := b.reconcilers(s.Reconcilers()...)
	b.background("identity", reconciled(loop))
	b.checks.Add(s.Checks()...)
	b.serve(s.REST())
	return nil
}

func (b *builder) seeds() identityapi.Seeds {
	return identityapi.Seeds{AdminPassword: b.Bootstrap.AdminPassword, DemoPassword: b.Bootstrap.DemoPassword,
		ServicePassword: b.Bootstrap.ServicePassword, Region: b.Config.Region}
}

// catalog offers what was built. It is the last step.
func (b *builder) catalog(ctx context.Context) error {
	seeds := b.seeds()
	for _, o := range offered {
		if slices.ContainsFunc(b.services, func(s *rest.Service) bool { return s.Name == o.service }) {
			seeds.Catalog = append(seeds.Catalog, o.entry)
		}
	}
	seeds.Catalog = b.ownAddresses(seeds.Catalog)
	return b.shared.identity.Bootstrap(ctx, seeds)
}

// compliance turns the operator's options into [security_compliance].
func compliance(b *builder) (identity.Compliance, error) {
	o := b.Config.Identity
	c := identity.Compliance{LockoutFailureAttempts: o.LockoutFailureAttempts, LockoutDuration: o.LockoutDuration,
		DisableUserDaysInactive: o.DisableUserDaysInactive, ChangePasswordUponFirstUse: o.ChangePasswordUponFirstUse,
		PasswordExpiresDays: o.PasswordExpiresDays, PasswordRegexDescription: o.PasswordRegexDescription,
		UniqueLastPasswordCount: o.UniqueLastPasswordCount, MinimumPasswordAgeDays: o.MinimumPasswordAgeDays,
		MaxPasswordLength: o.MaxPasswordLength}
	if o.PasswordRegex == "" {
		return c, nil
	}
	re, err := regexp.Compile(o.PasswordRegex)
	if err != nil {
		return c, fmt.Errorf("identity.password_regex: %w", err)
	}
	c.PasswordRegex = re
	return c, nil
}
