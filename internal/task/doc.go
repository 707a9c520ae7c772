// Package task is the saga engine: work with outside effects that survives a
// crash, can be undone, ends by a deadline and gives way to a delete.
//
// A saga is a list of steps. Its row says which step is at work and in which
// direction. The transaction that records a step's result also carries the
// object's change and names the next step, so the intent of step n+1 is
// committed with the result of step n, and the intent of the first step with
// the request. Steps without an effect are recorded with the step before them,
// and a step that nothing takes back begins without a record of its own. Effects carry a token that never changes between retries.
//
// Invariants: a live saga has one owner at a time (lease and epoch, checked by
// every write); at most one saga that is not declared concurrent is live per
// object; every saga ends done or unwound, and then its row is gone; an undo
// that cannot finish becomes a clean-up row that is tried again for ever;
// nothing polls on the path of a request.
//
// Faults of kind Unavailable are tried again with back-off until the deadline,
// and so is what ended late and timeouts that nobody has made a fault of, since their
// outcome is unknown; every other kind unwinds, whatever its causes.
// Undo runs for the failed step too, then for each before it.
//
// Rejected: a table of step results (the saga's row says all that recovery
// asks, in one write instead of two); DAGs and parallel steps (nobody could
// read the fault table); a workflow library that stores results outside our
// transaction (DBOS) and so cannot keep the object and its saga equal.
package task
