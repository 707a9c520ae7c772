// Package records keeps the rows of the networking service. Its resources
// stand on each other within one transaction (a router's interface is a port,
// a floating address holds a port, a port needs the project's default group),
// so their rows have one owner, below the features that carry the API.
//
// What depends on a changed row in the northbound database or on a host is
// told after the commit (Changed), never inside the transaction.
//
// Addresses are given out under a lock on the subnet's row, and a row per
// (subnet, address) with a unique key is what makes them unique: there is no
// pool table that could drift from them.
package records
