// Package admission decides whose request is worked on next, so that nobody who
// asks too much is felt by others.
//
// Who asks is a project, a user without one, or the address of somebody
// unknown. Three walls, all in memory:
//
//   - Rates: a token bucket each for reads, writes and bytes. A request beyond
//     its rate waits for its turn, a second at most; then it is refused. A
//     refused request has waited too, so that a client that does not listen is
//     slowed down by its own connections.
//   - Open requests: how many of one caller may be unanswered at once.
//   - Places: how many requests are worked on at once. One caller may have many
//     while nobody else asks, and few while others do: the processors are then
//     shared evenly, whatever each one sends. Freed places go round the callers
//     that wait. A request that has its place for long waits for something else
//     than a processor, and gives it up. Deletes have places of their own.
//
// Rejected: rates alone (a rate that lets a busy project work on a large machine
// floods a small one); a queue per processor (requests wait for disks most of
// their time); weighing by measured cost (as fair, but not explainable to
// somebody who was refused).
package admission
