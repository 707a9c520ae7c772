// Package legacy is version 2.0 of the identity API, for programs that never
// learned version 3: tokens, tenants, users, roles and the catalog in the older
// words, upon the same rows.
//
// Invariants: it knows the default domain only; what is not of it does not
// exist. Everything but a caller's own tokens, tenants and password is for
// administrators, who are told from users by the address of the admin endpoint
// (/identity_admin) where both ask the same: the list of tenants.
//
// Rejected: a store of its own (two truths), and the certificates and lists of
// revoked tokens of PKI tokens, which this cloud does not make: they are gone,
// as upstream answered too.
package legacy
