// Package federation is login for users whom an identity provider vouches for,
// by SAML 2.0 and OpenID Connect, and the other way round: this cloud vouches for
// its users to another one (Keystone to Keystone).
//
// Upstream leaves the protocols to modules of a web server in front of it; here
// the operator names the providers in mek.yaml, and this package speaks with them.
// What a provider said goes through the mapping of the protocol; from what comes
// out of it follow the user, who is made at his first login, his groups, and the
// projects he has roles on.
//
// Invariants: what a provider says counts for the protocol that it was set up for
// and no other; an assertion is taken once; a browser's login ends in the browser
// that began it; a token goes to dashboards that the operator trusts and nowhere
// else; whoever no rule is for is not let in, and whoever gets neither group nor
// project has no role.
//
// Sources: Identity API v3 extensions OS-FEDERATION; SAML 2.0 (profiles Web
// Browser SSO, ECP); OpenID Connect Core 1.0.
package federation
