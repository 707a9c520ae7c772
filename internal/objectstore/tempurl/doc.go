// Package tempurl lets whoever has a signed address do one thing with one
// object, or with those of a prefix, until a time: Swift's temporary URLs.
//
// A signature vouches for its own method and target, and a readable one for what
// the object is made of within the reach of the key. It never lets a writer name
// other objects: manifests and links are refused, further parameters of the
// query are dropped, and the source of a copy is asked for as anybody's would be.
//
// Rejected: upstream's grant of the whole account to a writer, whose copies may
// read every object in it.
package tempurl
