// Package records keeps Placement's rows and the index of providers in memory.
//
// Every change locks and raises one revision and marks the providers it
// touched with it, in its own transaction. Before it answers from the index, a
// reader compares revisions and loads what was marked since: one point query
// when nothing changed, and never a stale answer, also with several servers on
// one database. Notifying indexes over the bus was rejected, because a lost
// message would offer a full host until the next one; taking locks per provider
// was, because claims touch several in any order, and one short lock for all
// still admits a thousand claims a second.
//
// Texts of faults are OpenStack's, because clients show and sometimes match them.
package records
