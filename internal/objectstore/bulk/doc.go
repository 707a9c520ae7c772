// Package bulk does many changes in one request: it puts the files of an archive
// as objects, and deletes a list of objects and containers.
//
// The answer begins at once with status 200, a blank every few seconds keeps the
// connection, and a report at the end tells how it went. Nothing of an archive is
// held in memory or on disk: each file is stored while it is read. Every change
// goes through the rest of the pipeline as a request of its own, with its own
// authorization and audit record. Links, devices and the attributes of other
// systems in an archive are passed over.
package bulk
