// Package engine runs the processes that a cloud is made of: database
// servers, switches, our own server and agent. A process is started detached,
// in a session of its own, by argument vector; it survives whoever started it
// and is adopted by the next one.
//
// Invariants:
//   - One process per name and directory. It is recognised by its record
//     (process id, start time, boot id, digest of what was asked for). If the
//     starter died before the record was durable, the marker MEK_ENGINE in the
//     environment of the process finds it.
//   - A process whose description changed is stopped and started anew; one
//     whose description is equal is left alone.
//   - Nothing goes through a shell or a wrapper: the process that is recorded
//     is the program itself, so a signal reaches it and not its parent.
//   - No zombies: started children are waited for, and a supervisor calls
//     Adopt to inherit the orphans of its predecessors and reap them.
//
// Rejected: pid files alone (a reused id kills a stranger), systemd-run (not
// there in containers), a library such as goreman (children die with it).
package engine
