// Package s3 serves Amazon's S3 on the objects of Swift: a bucket is a container
// of the account of the key's project, an object is an object, and the access
// list of a bucket is Swift's list of the container.
//
// It is a handler of its own beside package rest, since nothing of a request is
// the same: no token but a signature over the request, operations told apart by
// parameters, answers in XML. What is the same stays the same: credentials come
// from identity, decisions from objectstore/access, changes carry audit records.
//
// An upload in parts lies in the container "<bucket>+segments", as in Swift: an
// empty object "<key>/<upload>" that says what the object will be, and a part
// "<key>/<upload>/<number>" each. Completion is one commit of the store that
// takes all of them. What an upload leaves behind when it is aborted, or when
// its bucket goes, is the reconciler's.
//
// Signed requests find buckets in their own account first. Anonymous requests,
// and signed ones that read, also find those of others that let them in; of two
// with one name the older one counts.
package s3
