// Package objectstoreapi assembles the Swift API (Object Store v1): routes,
// dialect, rules, the pipeline of filters, and what is about the API as a whole
// (/info, /healthcheck, CORS).
//
// Invariants: every request is authorised by access lists and roles, or vouched
// for by a filter, before anything of its object is told; operators narrow that
// further by policy rules, which allow everything by default.
package objectstoreapi
