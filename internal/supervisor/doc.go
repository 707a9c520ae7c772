// Package supervisor keeps the processes of a cloud running where systemd does
// not: it starts what is missing in stages, restarts what dies with back-off,
// and renews certificates. It is itself restartable: what it runs survives it
// and is adopted by the next one.
//
// Invariants: a stage begins after every process of the stage before was ready
// or failed once, so one broken engine never keeps the API down. A process
// that ran for a minute starts again at once; one that keeps dying waits twice
// as long each time, up to 2 s if it was ready and 30 s if it never came up.
//
// Rejected: supervising from "mek up" itself (it returns), one goroutine that
// polls all processes (a death is seen through its process descriptor instead).
package supervisor
