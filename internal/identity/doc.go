// Package identity is the contract of the identity service (Keystone v3):
// who there is, what they may act on, and what a token says.
//
// One directory per resource implements it: tokens (sealed bearer tokens, keys,
// revocation), access (what a token is worth now), auth (login), projects,
// domains, users, groups, roles, assignments, catalog, credentials, appcreds,
// trusts, limits, and bootstrap for a new cloud. Federation has identityproviders
// (with their protocols), mappings, serviceproviders, and mapping, the rules that
// say who somebody is here for whom an identity provider vouches; saml and oidc are
// what providers speak, and federation is login by them.
//
// Invariants:
//   - A token carries who, scope and times, never roles: its worth is computed
//     from rows and cached in memory until any identity row changes anywhere.
//   - A derived credential (rescoped token, application credential, trust, EC2
//     key) never has more roles, a wider scope or a later end than its parent.
//   - Whatever is disabled or deleted stops working everywhere within a second;
//     switching it on again does not revive tokens issued before.
//   - Unknown, wrong, disabled and locked logins get one answer in one time.
//   - Secrets at rest are hashed (passwords, application credential secrets) or
//     sealed by the master key (credential blobs, token keys).
//
// Rejected: a token table (a query and a write per login), roles inside tokens
// (stale until expiry), the upstream list of revocation events matched one by
// one (linear in events; epochs per subject are one map look-up each), and a
// separate table for domains (upstream's rows are projects that act as a
// domain, and clients see that).
package identity
