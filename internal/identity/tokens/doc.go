// Package tokens makes, reads and revokes bearer tokens.
//
// A token is a Fernet message (AES-CBC and HMAC, as upstream's, so that its
// size and alphabet are what clients expect) around a MessagePack payload. It
// is never stored. Keys live in the database, sealed by the master key, and
// are rotated in three steps: a staged key is published, becomes primary when
// all servers have read it, and is retired when no token can live that it made.
//
// Revocation is by epoch: one moment per subject (token, chain of tokens, user,
// project, domain, trust, application credential); a token issued before the
// moment of any of its subjects is dead. All epochs are in memory; a change
// made by another server is seen by polling one row.
//
// Rejected: upstream's payload layout byte for byte (nobody reads it but the
// server that made it, and it cannot hold the microseconds that make a
// revocation in the second of issue exact), and JWS (three times the size).
package tokens
