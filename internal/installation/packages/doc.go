// Package packages installs what the engines need through the system's own
// package manager. Only Debian's is known; elsewhere the operator is told the
// names of the programs.
//
// What was installed is recorded before, and never removed by itself: by then
// it may serve others. Services that come with packages are kept from starting
// (policy-rc.d) and from being enabled, since this cloud runs its own.
package packages
