// Package tasks keeps what became of work on images, for clients that ask. A task
// is a record of work, not the work: that is begun by package transfers, also when
// somebody creates a task. One that waits is pending; the rest are as upstream.
package tasks
