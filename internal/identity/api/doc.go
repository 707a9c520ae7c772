// Package identityapi puts the identity service together: features, dialect,
// version documents, and what a new cloud begins with.
package identityapi
