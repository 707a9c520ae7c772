// Package saml speaks SAML 2.0 both ways: Service is this cloud as a service
// provider that believes what an identity provider says of a user, Issuer is
// this cloud as an identity provider for Keystone-to-Keystone. Documents go in
// and out as bytes and time is an argument: no routes, no rows, no clock.
//
// Invariants:
//   - What Verify returns was read from the bytes whose digest was signed, never
//     from the document around them. A document is refused when it could be read
//     in two ways: comments, DTDs, entities, a second assertion, an identifier
//     that occurs twice, a signature anywhere but in the element it signs.
//   - Keys come from the provider's metadata alone. The certificate in a
//     signature is ignored, and so are the dates of those in metadata: a
//     certificate there is no more than a key (SAML V2.0 Metadata
//     Interoperability Profile).
//   - Signatures are RSA; SHA-1 signs nothing. Upstream's Keystone signs with it as an identity
//     provider and is therefore refused; ours signs with RSA-SHA256.
//   - An encrypted assertion is opened only when the response around it is
//     signed, so that nobody but the provider can make us decrypt anything.
//   - Every refusal is one fault.Unauthenticated; the reason is its cause.
//   - An assertion can be presented twice: who accepts it remembers its ID until
//     NotOnOrAfter and Skew have passed.
//
// Names and shapes are those of upstream: keystone/federation/idp.py for what
// Issuer writes, keystoneauth1's plugins v3samlpassword and Keystone2Keystone
// for what they read and send.
//
// Rejected: crewjam/saml as the verifier (its clock is a variable of the whole
// program, it knows no ECP as a service provider, and it reads signed bytes by a
// second parser). It is the other side in tests instead: samltest.
package saml
