// Package rest turns declared routes, fields and bodies into wire-exact
// OpenStack APIs. Each API is a Service: one Dialect (error envelope, paging
// keys, headers), rules, and routes with a rule and an audit verb each.
//
// Invariants: a route without a known rule cannot be registered; a request is
// authenticated, versioned and authorised before its body is read; a handler
// of a per-object route that answers without having authorised the object is
// an internal error; a 5xx shows the request id and nothing else.
//
// Rejected: net/http's ServeMux as the router, because it panics on patterns
// that overlap without one being more specific, as OpenStack's do; decoding
// with case-insensitive names, because the originals refuse them.
package rest
