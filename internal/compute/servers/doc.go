// Package servers serves servers: their life, their disks and cards, what was
// done to them, their consoles.
//
// A request records intent and returns: one transaction checks the quota and
// writes the server, its disks and cards, its action record and a saga. The
// sagas (task_*.go) do the rest. What a host should have is rendered from the
// rows by one pure function (render.go): a server is part of its host's
// document exactly while it is defined, and so is each of its disks and cards.
//
// Invariants: status follows from vm and task state, written with them
// (Server.put); every change that a guest can notice raises the revision of
// its host's section guests in the same transaction; a port or volume is
// released only after the host reported that the guest let go of it, or after
// the host's lease was lost and the server's row left its document.
//
// Rejected: directories of their own for attachments, consoles and actions:
// all of them are changes of a server's rows under its lock and its sagas.
package servers
