package db

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
)

// Faults goes wrong for a test: it is asked before each transaction, and again
// once it is durable, with the context of the writer. An error before means that nothing is written; one after
// it that the writer is not told, as when a disk reports too late or never.
type Faults func(ctx context.Context, committed bool) error

// Faulty is the same database for a writer that meets faults.
func (d *DB) Faulty(f Faults) *DB {
	c := *d
	c.faults = f
	return &c
}

// writeFaulty is Write with faults. What was to be done after the commit is
// done only when the writer learns of it.
func (d *DB) writeFaulty(ctx context.Context, fn func(tx *Tx) error) error {
	if err := d.faults(ctx, false); err != nil {
		return broken(err)
	}
	var after []func()
	err := d.writeSound(ctx, func(tx *Tx) error {
		err := fn(tx)
		after, tx.after = tx.after, nil
		return err
	})
	if err != nil {
		return err
	}
	if err := d.faults(ctx, true); err != nil {
		return broken(err)
	}
	for _, f := range after {
		f()
	}
	return nil
}

// broken is what a writer meets when the disk fails.
func broken(err error) error {
	return fault.Unavailablef("The disk of the control plane does not answer.").Because(err)
}
