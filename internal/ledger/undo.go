package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Host takes changes back and looks at them. internal/ledger/host is the real one.
type Host interface {
	// Undo takes a change back. It may be called again, and for changes that
	// were recorded but never made: both return nil.
	Undo(ctx context.Context, c Change) error
	// Exists tells whether the change is there.
	Exists(ctx context.Context, c Change) (bool, error)
}

// Replay takes back every standing change that want accepts, newest first, and
// forgets it. One that fails stays recorded, and the others are still tried.
func (l *Ledger) Replay(ctx context.Context, h Host, want func(Change) bool) (undone []Change, err error) {
	live, err := l.Live()
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, c := range slices.Backward(live) {
		if !want(c) {
			continue
		}
		if err := h.Undo(ctx, c); err != nil {
			failed = append(failed, fmt.Errorf("take back %s %s: %w", c.Kind, c.Name, err))
			continue
		}
		if err := l.Forget(c.Kind, c.Name); err != nil {
			return undone, errors.Join(append(failed, err)...)
		}
		undone = append(undone, c)
	}
	return undone, errors.Join(failed...)
}

// Missing is every standing change that is not on the host (any more).
func (l *Ledger) Missing(ctx context.Context, h Host) ([]Change, error) {
	live, err := l.Live()
	if err != nil {
		return nil, err
	}
	var missing []Change
	for _, c := range live {
		there, err := h.Exists(ctx, c)
		if err != nil {
			return missing, fmt.Errorf("look for %s %s: %w", c.Kind, c.Name, err)
		}
		if !there {
			missing = append(missing, c)
		}
	}
	return missing, nil
}
