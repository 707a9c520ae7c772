// Package volumes is the applier of section hostlink.Volumes: it has a
// disk.Driver keep on the host what the server wants kept there.
//
// Making a volume may take minutes while documents come every second, so work
// belongs to the volume and not to the document: an Apply starts what is
// missing, stops what is no longer wanted, and waits; a newer document takes
// over work whose spec it did not change. A volume that cannot be made stays
// Failed until its spec changes; one that may work later is tried again.
package volumes
