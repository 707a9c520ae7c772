// Package credentials keeps users' credentials: EC2 access keys, certificates
// and other blobs, sealed by the master key.
//
// Invariants: a list holds only what its caller may show (every filter is
// checked again per row); the owner and project of an EC2 key never change;
// a token that was lent or made from an application credential sees and makes
// keys of its own project only, and a restricted one makes none.
package credentials
