// Package catalog keeps regions, services and endpoints, and makes of them the
// catalog that tokens carry.
//
// An endpoint whose stored address begins with a slash belongs to this cloud's
// own listener: it is shown at whatever address the client came by, so that one
// cloud answers to all of its names. The rows are cached until an identity row
// changes; making a token's catalog costs no query.
package catalog
