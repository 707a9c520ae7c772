// Package oidctest is an OpenID provider for tests: discovery, keys,
// authorization (it logs in whom the test has signed in, without a page),
// tokens (authorization_code with PKCE, password, client_credentials),
// introspection and userinfo. It serves what keystoneauth's v3oidc plugins ask
// for, and misbehaves on request: Faults says how.
//
// It keeps to the specifications where a client could tell: codes work once and
// for the address and verifier that they were asked for with, clients
// authenticate, tokens end. It shares no code with package oidc, so that a
// mistake there is not repeated here.
package oidctest
