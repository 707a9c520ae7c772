// Package socket lets short requests over TCP be read and written by calls of the
// system that the scheduler of Go does not hear of.
//
// A call that might wait makes the scheduler ready to give the processor to
// others, and wakes the thread that watches over it when nothing else went on: a
// tenth of the time of a small request. Reading what has come, or putting a few
// kilobytes into a buffer of the system, does not wait; who has to wait does so in
// the poller, as always.
package socket
