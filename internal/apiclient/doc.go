// Package apiclient is the public API for our own commands: gophercloud's
// sessions (catalog, tokens, log-in again) under a few calls that take plain
// values. It goes the way any client goes, so policy, quota and versions hold.
//
// Rejected: gophercloud's typed packages, one per resource; the commands touch
// a dozen resources in a handful of fields. Calling services in process: a
// missing API would go unnoticed.
package apiclient
