// Package blockstorage is the contract of the block storage service: volumes,
// snapshots, types and attachments, the states they pass through, and what
// other services may ask for.
//
// Invariants. A volume is kept by one host at a time, and only servers on that
// host can have it open; Connect moves a volume that is elsewhere. A volume
// with attachments, snapshots or a transfer is not deleted. What status a
// volume has follows from tables (state.go); os-reset_status writes over it
// until the next real change.
//
// Rejected: quota reservations (usage is counted), soft-deleted rows (history
// is the audit log's), a service of its own per back end: a host that keeps
// volumes is an agent with section hostlink.Volumes.
package blockstorage
