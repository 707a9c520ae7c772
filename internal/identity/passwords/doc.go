// Package passwords hashes and checks what people type.
//
// New hashes are argon2id with 19 MiB and two passes (about 18 ms). Imported
// bcrypt and scrypt hashes (Keystone's own formats) are accepted and reported
// as stale, so that the caller stores a new one at the next login.
//
// Invariants: a check of an unknown user costs what a check of a known one
// costs; at most a fixed number of hashes is computed at once, so that a flood
// of logins takes neither all memory nor all processors. Rejected: bcrypt 12
// as the default (221 ms of a processor for each login) and a cache of
// verified passwords (a second, weaker copy of every secret).
package passwords
