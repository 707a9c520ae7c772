// Package ovn writes what networks, ports, routers and security groups mean
// into OVN's northbound database, which belongs to the server.
//
// Rendering is pure: the Render functions turn contract types into Rows, each
// with a key that is unique in the cloud. A row's UUID is a hash of its key, so
// references need no look-up and a repeated insert cannot make a twin. Rows
// come in scopes ("port/ID", "router/ID"); Northbound.Apply makes one scope as
// rendered, in one transaction with the least operations, Northbound.Resync
// re-reads everything and repairs drift.
//
// A child says which set of its parent it is in (Row.In), so that adding a port
// to a switch of thousands touches one element and no other scope's rows.
//
// Rejected: generated models (forty columns for the eight we write), and the
// client's cache as memory of what was written: it lags behind our own
// transactions, and a diff against a lagging copy inserts twice.
package ovn
