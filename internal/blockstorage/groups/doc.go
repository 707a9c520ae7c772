// Package groups serves groups of volumes and their snapshots, and the older
// calls of consistency groups, which are groups of one type.
//
// A group is a row and what its members say of it; what is done to all members
// is recorded in one transaction, and a saga waits until each of them is done.
// Snapshots of a group whose type asks for consistency are taken only while no
// server has a volume of it open, and no server gets one meanwhile: then they
// are of one moment. Replicated groups are refused: no host keeps anything twice.
package groups
