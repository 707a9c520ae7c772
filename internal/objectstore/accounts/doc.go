// Package accounts serves accounts of the Swift API: listings of containers,
// attributes, and making and deleting accounts for resellers. An account that
// nobody has written to looks empty.
package accounts
