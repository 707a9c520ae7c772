// Package pki is the cloud's own certificate authority: a root that clients
// trust, an intermediate that signs, the front door's certificate, and
// certificates of 24 hours for server and agents on the bus.
//
// Invariants: private keys of the authorities are on disk only sealed by the
// master key; every private key file has mode 0600; files are replaced by
// rename, key and certificate in one file or the certificate last, so that a
// reader never loads a pair that does not match for longer than one retry.
// The root key is opened only to sign an intermediate.
//
// Rejected: smallstep (a whole server), one self-signed certificate (every
// renewal would have to be trusted anew), a root without intermediate (its key
// would lie open in a process that faces the network).
package pki
