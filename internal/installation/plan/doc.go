// Package plan says which processes make up a cloud on this machine, in which
// order they start, and how to tell that they are ready. It is a function of
// the configuration: "mek up", the supervisor, "status" and "down" all ask it.
//
// Rejected: a list in a file. It would have to be kept equal to the program.
package plan
