// Package testbed is a small data centre inside one machine: a network
// namespace per machine, joined by a switch that lives in the test's process,
// with the real binary and real guests in them.
//
// The switch takes every frame between machines, so a test can cut, thin out or
// delay traffic between any two of them, in one direction or both, without any
// module of the kernel, and repeat it by a seed. Nothing that a machine sends
// reaches anything but another machine of its bed.
//
// A machine can lose power: all of its processes end at once, its links and its
// run directories are gone, its disk stays. Switched on again it starts what
// its init would start, and nothing else.
package testbed
