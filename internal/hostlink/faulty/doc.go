// Package faulty wraps what passes between server and agents so that it is
// lost, late or repeated, by a seed: for tests of everything above. What is
// lost was either never delivered or delivered with its answer lost; the
// sender cannot tell, as on a real network.
package faulty
