// Package guest is the contract between the cloud and what runs its servers:
// what a host should have (Spec), what it has (Facts), and the Driver that
// makes the second like the first.
//
// The server renders one Spec per server as the body of a hostlink document
// (Document); package agent/guests hands each to a Driver. Drivers: guest/qemu
// (real machines), guest/sim (by name only, for tests and scale). Both pass
// the suite guest/guesttest.
//
// Invariants:
//   - A Spec says everything: a driver keeps no configuration that did not come
//     from one, and makes the same guest from it on any host.
//   - Ensure converges. There is no create, start, attach or resize verb: they
//     are differences between two Specs, so none of them can be lost or run twice.
//   - Nothing here names a path, a link or an address of a host: volumes, taps
//     and images are resolved on the host, through Volumes, Taps and ImageSource.
//   - A guest that switched itself off stays off until its PowerSerial changes:
//     desired state alone cannot tell "was never started" from "went off itself".
//
// Rejected: a verb per operation (a lost reply leaves the caller guessing);
// desired power without a serial (a guest that powers itself off would be
// started again before the server heard of it).
package guest
