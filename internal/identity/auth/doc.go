// Package auth is login: it turns passwords, tokens, application credentials
// and trusts into tokens of every scope, and shows, validates and revokes them.
//
// Invariants: every failed login has one answer; a body is at most 16 KiB and
// nothing is stored for somebody who did not log in; failures are limited by
// account and address before any hash is computed; a token made from a token
// keeps its end, its chain and its application credential, so that derived
// credentials only shrink.
//
// Not built: one-time passwords and receipts for several steps of one login. A
// user whose rules ask for more methods than were given is refused.
package auth
