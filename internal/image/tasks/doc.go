// Package tasks keeps what became of imports, for clients that ask. A task is
// a record of work, not the work: nothing is started by one, so creating a task
// through the API is not offered (it has been deprecated since Mitaka).
package tasks
