// Package fence carries the right to act through a context: work that a server
// does under a lease asks, right before an effect leaves the process, whether
// the lease still holds. A process that was stopped and goes on later finds
// that it does not, whatever it had computed before.
package fence
