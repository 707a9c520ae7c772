// Package simulation runs whole clouds on virtual time: the real front door,
// database, sagas and reconcilers, and real agents on simulated hosts, inside a
// testing/synctest bubble where two minutes pass in a fraction of a second.
//
// Users work while servers and agents die, messages between them are lost,
// late, repeated and overtaken, hosts are cut off and disks fail. Then all of it
// ends, the cloud comes to rest by itself, and what users were told is compared
// with what there is, on every side.
//
// A seed fixes what users do and what goes wrong when; goroutines and the
// identifiers of objects are not fixed by it, so a rare race may need a seed to
// be repeated. MEK_TEST_SEED repeats one, MEK_SEEDS says how many are
// tried, or which: FIRST-LAST.
package simulation
