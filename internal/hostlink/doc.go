// Package hostlink is how the server and the agents of hosts talk: desired
// state by revision and digest, one-shot commands by token, byte streams.
//
// What must hold is in docs/hardening.md §3 of the founding documents: a host
// gets only what concerns it, equal digests send nothing, a repeated token
// answers the stored result, and nothing above a driver asks whether the
// agent is in this process (Local), behind NATS (Remote) or simulated.
//
// Packages: hub is the server's side whatever the placement; inproc joins a
// hub and agents in one process; remote joins them by NATS and mutual TLS;
// faulty loses, delays and repeats for tests; linktest is the conformance
// suite of placements. What an agent does with what it gets is package agent.
//
// How far a host is, is told per object: an ObjectReport carries the revision
// of the document it was established under. Without it a report that crosses
// a new document would look like its fulfilment.
//
// Most documents and reports differ from the ones before in one object of
// hundreds, so both travel as deltas between ends that both know them (Hello.Deltas,
// Uplink.Deltas): a delta names what it changes and what comes out, by digest, and
// one that does not fit, for whatever reason, is answered with WholeWanted. There
// is no history on either side: a server knows what a host's document lists, but
// not its texts, and the whole is always right.
package hostlink
