// Package access tells what a token is worth now: who it is for, what it acts
// on and with which roles. It is the read model of the other features' rows:
// it reads their tables and writes none.
//
// The answers are cached in memory under the generation of identity rows at
// which they were computed, so that a request with a known token costs no
// query; any change of any identity row, by any server, voids all of them.
// Identity rows change rarely and requests come often, which is why one
// generation for everything was preferred to finer marks that can be forgotten.
//
// Effective roles, by upstream's rules: assignments to the user and to the
// user's groups; an inherited assignment acts on the projects below its target,
// never on the target; roles imply roles; a role of a domain acts only through
// the global roles it implies.
package access
