// Package identityproviders keeps the identity providers of OS-FEDERATION, the
// names they have elsewhere (remote ids), and the protocols by which they vouch.
//
// Invariants:
//   - No two providers share a remote id, whoever asks at once: it is a key.
//   - A provider has a domain from its first moment, made in the same transaction
//     unless one is named, and never changes it. With the domain it goes.
//   - A provider that is disabled or deleted ends what it vouched for; enabling
//     it again revives nothing.
//   - A protocol is of one provider and goes with it.
//
// Where upstream does otherwise: remote ids may have 255 characters (its schema
// says 64, its column 255; entity ids of SAML are often longer than 64), and a
// protocol's remote_id_attribute is shown wherever it is set.
package identityproviders
