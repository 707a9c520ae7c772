// Package cache answers for the image cache of the API, which there is none of.
//
// Glance's cache is a copy that an API server keeps of images whose store is
// elsewhere. Here the one store is a folder that every server of the cloud sees,
// and serves from by itself: a copy beside it would be of nothing, and to tell of one
// would be untrue. So the operations answer what those of a Glance with no cache
// configured answer, after the same rules, and versions that only a Glance with a
// cache has are not advertised.
//
// Rejected: to show the base images that hosts keep. They are the hypervisors', go by
// their own rule, and are asked for through Nova (aggregates); to clear them from here
// would take away what servers are about to be made of.
package cache
