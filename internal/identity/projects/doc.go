// Package projects keeps projects and the projects that act as domains: rows,
// names, the tree, tags. Package domains puts the domain API on the same rows.
//
// Invariants: a name is taken once in a domain; a project's parent is in its
// domain; nothing enabled stands below something disabled; a parent is deleted
// after its children; deleting a domain takes everything in it along, in one
// transaction, by foreign keys.
package projects
