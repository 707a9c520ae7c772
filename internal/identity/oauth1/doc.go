// Package oauth1 lets users lend roles to programs by OAuth 1.0a: consumers,
// request tokens that a user grants, access tokens that a consumer logs in with.
//
// Invariants: secrets are sealed by the master key and every request is signed
// with them by HMAC; a request token is used once; an access token gives no role
// that its user has lost; a token made with one makes no other credentials.
//
// Rejected: RSA signatures (upstream has no way to register a key either) and
// PLAINTEXT (it sends the secrets themselves).
package oauth1
