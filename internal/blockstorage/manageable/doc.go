// Package manageable serves what hosts have that are no volumes or snapshots
// of this service, and makes such of them.
//
// What is unmanaged becomes a relic: its host keeps the data until it is
// managed again, under a new id and by a copy, which is at once where the file
// system shares blocks. Data that hosts never had from this service are not
// offered: agents remove what no row names.
package manageable
