// Package supervisor keeps the processes of a cloud running where systemd does
// not: it starts what is missing in stages, restarts what dies with back-off,
// and renews certificates. It is itself restartable: what it runs survives it
// and is adopted by the next one.
//
// Invariants: a stage begins after every process of the stage before was ready
// or failed once, so one broken engine never keeps the API down. A process
// starts again at once the first time and after it ran for a minute; one that keeps
// dying waits twice as long each time, up to 2 s if it was ready and 30 s if it never
// came up. The API's listening sockets stay open meanwhile (engine.Doors): who asks
// while the server is started again waits for it, and is refused only once it has
// failed to start.
//
// Rejected: supervising from "mek up" itself (it returns), one goroutine that
// polls all processes (a death is seen through its process descriptor instead).
package supervisor
