// Package oidc is this cloud as a client of an OpenID provider: as relying
// party (a browser's login by authorization code) and as OAuth 2.0 resource
// server (an access token that a client brings). It does what Apache's
// mod_auth_openidc does in front of a Keystone, and names what it learned as
// that module does, so that mappings written for it work here.
//
// A token that is a JWT is verified by the provider's published keys. One that
// is not is introspected (RFC 7662) with this client's credentials; a provider
// without such an endpoint cannot say for whom an opaque token is, so it is
// refused: userinfo alone would take any application's token. A JWT that cannot
// be verified is never introspected instead.
//
// Claims of the token come first, those of the userinfo endpoint fill in what
// it does not have. It is asked after a browser's login, for opaque tokens, and
// for a JWT that tells nothing of its user but the subject; mod_auth_openidc
// asks for none of a JWT's, so what a token says of its user is all there is.
// An id token is taken as a bearer token too (keystoneauth's
// access_token_type=id_token), by the same rules.
//
// Invariants:
//   - A token counts only if its audience, its authorized party or its client
//     is this client or one of the configured audiences: other applications of
//     the same provider see their users' tokens, and must not be able to use
//     them here. (mod_auth_openidc checks that only when it is told to.)
//   - Signatures are asymmetric and by a key that the provider publishes now;
//     what stands in a token's header chooses among those keys, nothing else.
//   - A claim that decides has one spelling: a token with "aud" and "AUD" is
//     refused, since parsers read it differently.
//   - What cannot be kept whole (too many or too deep claims) is refused, never
//     cut: a mapping may decide by what was cut.
//   - Discovery and keys are fetched by one request at a time, in bounded time
//     and size, however many tokens come; a token with an unknown key causes at
//     most one look for new keys in ten seconds.
//   - Redirects are followed for documents that anybody may read, never with a
//     secret. Only https, or http on loopback when the issuer itself is there.
//   - Nothing about tokens, codes or users is remembered.
//
// Addresses are the operator's and the provider's, so they are not restricted
// further. Discovery is kept for an hour and not beyond: a key that a provider
// has withdrawn stops working within that time.
//
// Rejected: go-oidc's remote key set (asks for keys for each bad signature, and
// does not tell a provider that is silent from a token that is wrong) and its
// userinfo call (as little told), the rest of it is used; claims from other
// providers (_claim_sources: a request to an address from a token).
package oidc
