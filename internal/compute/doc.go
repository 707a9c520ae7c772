// Package compute is the contract of the compute service: servers and what
// they are made of, their states, and the API's versions. No I/O.
//
// A server's status is never stored by hand: it follows from vm state, task
// state and power state by one table (server_state.go), which also says what
// actions each state allows.
package compute
