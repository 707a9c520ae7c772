// Package inproc joins agents and a hub within one process: for simulated
// hosts and for tests. No bytes are copied and no lease can run out; what is
// left is the same order of events as behind a network.
package inproc
