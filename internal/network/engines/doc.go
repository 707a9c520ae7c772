// Package engines says which processes OVN and Open vSwitch need, where their
// state is and how to tell that they are ready. Package engine runs them.
//
// Everything is private: databases under a data directory, sockets under a
// run directory that must be short (108 bytes for a socket's path), nothing
// below /var/run, no pid files of the distribution's services. A host where
// other software runs Open vSwitch keeps it.
package engines
