// Package guests makes the guests of one host those of the server's document:
// it is the hostlink.Applier of section Guests, over any guest.Driver.
//
// Each guest is worked on by a job of its own, several at a time. A newer
// document cancels the jobs whose guest it changes and leaves the others
// alone: a host that is told something new every second would otherwise never
// finish fetching an image. Removals have places of their own, so that a
// delete never waits for a start.
//
// What cannot work is Failed and stays so until the guest's Spec changes; what
// may work later is Pending, and the agent's core applies the document again. A
// guest that went off by itself is reported as such, Ready all the same: it is
// what its Spec allows (see Spec.PowerSerial).
//
// Verbs: reboot {kind}, console-log {lines}, snapshot {disk, name},
// snapshot-discard {name}, diagnostics, nmi, set-password {user, password}. Streams: vnc
// {id}, serial {id}, snapshot {id, name}.
//
// Rejected: remembering on disk what was done (the driver knows better, and
// Ensure costs nothing when nothing differs).
package guests
