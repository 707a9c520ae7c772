// Package check evaluates the promises of the cloud, its invariants, and says
// what is broken with the evidence of both sides. It never changes anything.
//
// Each service contributes checks: functions over a Look, which is one moment
// of the database and what every host says it has. Queries stay with the
// tables they read, in the feature's store_check.go; this package knows no
// service. The same functions run in mek doctor, in tests and in soak runs.
//
// Two modes. Quiesced is exact: nothing is going on, so every difference is a
// violation. Live tolerates what is under way: an object that a live saga owns
// is passed over, and a difference between hosts and rows counts only when it
// is still there after the grace of 30 seconds; rows of one moment are compared
// exactly. Rejected: judging by the age of rows, since a row that is gone has
// none.
package check
