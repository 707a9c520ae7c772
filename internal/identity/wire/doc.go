// Package wire is Keystone's way of speaking: the error envelope, links, list
// filters with operators ("name__contains"), bodies with attributes nobody
// declared. Every feature of identity uses it; nothing else does.
//
// Bodies are read strictly where upstream has a schema and loosely where it
// keeps unknown attributes ("extra"): there a body is split into the members a
// struct declares and the rest.
package wire
