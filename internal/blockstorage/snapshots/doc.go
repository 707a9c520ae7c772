// Package snapshots serves snapshots of volumes. A snapshot is a copy that the
// volume's host keeps beside it; of a volume that a guest writes to, the
// guest's driver makes a consistent one.
package snapshots
