package task

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/outbox"
)

// What can go wrong with a saga. Each is counted, and goes to /metrics (I-42).
const (
	Retried    = "retried"     // a step failed, or its outcome is not known, and is tried again
	Unwound    = "unwound"     // a step failed for good
	UndoFailed = "undo-failed" // an undo failed and is tried again
	LeftBehind = "left-behind" // an undo became a clean-up row
	Recovered  = "recovered"   // a server died, or lost it, and the saga was taken up again
	Unrecorded = "unrecorded"  // the database refused to take what had happened
)

// Trouble counts one way in which sagas of one operation went wrong.
type Trouble struct {
	Op, What string
	Times    int64
}

// Troubles are what went wrong since the engine was made.
func (e *Engine) Troubles() []Trouble {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Trouble
	for k, n := range e.troubles {
		out = append(out, Trouble{k[0], k[1], n})
	}
	slices.SortFunc(out, func(a, b Trouble) int { return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.What, b.What)) })
	return out
}

func (e *Engine) trouble(op, what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.troubles == nil {
		e.troubles = map[[2]string]int64{}
	}
	e.troubles[[2]string{op, what}]++
}

// Failed is the action of the event that an operation was taken back.
const Failed = "fail"

// tell leaves the event that an operation failed and was taken back, with the
// public reason, in the transaction that ends it. A cancelled one did not fail.
func tell(ctx context.Context, tx *db.Tx, row *sagaRow) error {
	why := row.Error.V
	if row.Cancel || why == nil || why.Cancelled {
		return nil
	}
	service, _, _ := strings.Cut(row.Op, ".")
	if service == "blockstorage" {
		service = "block-storage"
	}
	return outbox.Write(ctx, tx, event.Record{Service: service, Action: Failed, Kind: row.Op, Object: row.Object, ProjectID: row.ProjectID,
		UserID: row.UserID, RequestID: row.RequestID, Payload: map[string]any{"reason": why.Text}})
}
