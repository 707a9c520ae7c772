// Package pacetest has the flow of a body that shares the machine, for tests of
// those who take bodies apart.
package pacetest

import "sync/atomic"

// Crowd is the flow of a body while others ask; it counts turns. It implements
// pace.Flow.
type Crowd struct{ Worked, Wrote atomic.Int32 }

// Crowded is always true.
func (c *Crowd) Crowded() bool { return true }

// Work counts a turn of a processor.
func (c *Crowd) Work(fn func()) { c.Worked.Add(1); fn() }

// Disk counts a turn of the disk.
func (c *Crowd) Disk(fn func() error) error { c.Wrote.Add(1); return fn() }

// Rest does nothing.
func (c *Crowd) Rest() {}
