package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/later"
)

// Step is one thing that a saga does. Names are stored: renaming one is a migration.
type Step[P, S any] struct {
	Name string
	// Do is the outside effect. It MUST be idempotent by r.Token(), end when
	// ctx ends, and may change r.State, which is saved whatever it returns.
	// Nil for a step that touches only the database.
	Do func(ctx context.Context, r *Run[P, S]) error
	// Commit runs in the transaction that records the result; with Do nil it
	// is the whole step. No I/O; may run twice. A change of r.State is saved.
	Commit func(ctx context.Context, tx *db.Tx, r *Run[P, S]) error
	// Undo takes the effect back. It MUST be total: done, half done, never
	// begun, twice. It must not need a host that is gone: see HostGone.
	Undo func(ctx context.Context, r *Run[P, S]) error
	// UndoCommit runs in the transaction that records the undo.
	UndoCommit func(ctx context.Context, tx *db.Tx, r *Run[P, S]) error
	// Skip tells from r.State that there is nothing to do and nothing to take
	// back; nil: there always is. It is asked before the step, and must answer
	// the same when it is asked again.
	Skip func(r *Run[P, S]) bool
	// Timeout of one attempt of Do or Undo; 0: 60 s.
	Timeout time.Duration
}

// Saga is an operation. P is what the request asked for and never changes; S
// is what the steps learned. Both are stored as JSON.
type Saga[P, S any] struct {
	Name       string        // "compute.server.create"
	Version    int           // of the graph; for logs
	Deadline   time.Duration // from enqueueing to the start of unwinding; 0: 30 min
	Steps      []Step[P, S]
	Concurrent bool // may run beside another saga of its object
	// Flush runs at the end of each transaction that records steps going
	// forward, if they left something in Run.Held: steps that are recorded
	// together read the same rows once and write them once. Nil: nobody does.
	Flush func(ctx context.Context, tx *db.Tx, r *Run[P, S]) error
}

// Run is one saga at work, as its steps see it.
type Run[P, S any] struct {
	ID, Object, ProjectID, UserID, RequestID string

	Params  P
	State   S
	Err     error // why it unwinds; set for Undo and UndoCommit
	Attempt int   // of this step in this direction, from 0
	// Held is what the Commits of one transaction share, see Saga.Flush: nil at
	// its begin.
	Held any

	step string
}

// Token is the identity of this step's effect. It does not change between
// retries, nor between Do and Undo.
func (r *Run[P, S]) Token() string {
	sum := sha256.Sum256([]byte(r.ID + "/" + r.step))
	return hex.EncodeToString(sum[:16])
}

// Handle enqueues sagas of one kind.
type Handle[P any] struct {
	e *Engine
	g *graph
}

// Work says what a saga is about.
type Work struct {
	Object, ProjectID, UserID, RequestID string
	// Preempt cancels the live sagas of the object; this one starts when they
	// have unwound. A saga of the same name that is there already is joined.
	Preempt bool
	// Follows names the saga whose last undo enqueues this one, in its own
	// transaction: it starts when that has ended. Conflict when somebody else
	// waits for the object already.
	Follows string
	// Fresh says that this transaction makes the object: no other saga can be
	// about it, and none is looked for.
	Fresh bool
}

// Register adds a kind of saga. It panics on a saga that cannot run (no steps,
// a name used twice), and belongs before Engine.Run.
func Register[P, S any](e *Engine, s Saga[P, S]) *Handle[P] {
	g := &graph{name: s.Name, version: s.Version, deadline: s.Deadline, shared: s.Concurrent}
	if g.deadline == 0 {
		g.deadline = 30 * time.Minute
	}
	for _, st := range s.Steps {
		if st.Name == "" || g.index(st.Name) >= 0 || (st.Do == nil && st.Commit == nil && st.Undo == nil && st.UndoCommit == nil) {
			panic(fmt.Sprintf("task: saga %s: step %q is empty or there twice", s.Name, st.Name))
		}
		info := stepInfo{name: st.Name, timeout: st.Timeout, effect: st.Do != nil, commits: st.Commit != nil, undone: st.Undo != nil || st.UndoCommit != nil}
		if info.timeout == 0 {
			info.timeout = time.Minute
		}
		g.steps = append(g.steps, info)
	}
	g.open = func(row *sagaRow) (runner, error) { return open(s, row) }
	if len(g.steps) == 0 || e.graphs[s.Name] != nil {
		panic("task: saga " + s.Name + " has no steps or is registered twice")
	}
	e.graphs[s.Name] = g
	return &Handle[P]{e: e, g: g}
}

// Enqueue stores a saga in the caller's transaction and has it started as soon
// as that is durable. Conflict, with the running saga's id as detail "saga",
// when another saga of the object lives (see Work.Preempt and Saga.Concurrent).
func (h *Handle[P]) Enqueue(ctx context.Context, tx *db.Tx, w Work, params P) (string, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return "", fault.Internalf("parameters of %s: %w", h.g.name, err)
	}
	now, term := h.e.o.Clock.Now(), h.e.term()
	row := &sagaRow{ID: id.New(), Op: h.g.name, Version: int64(h.g.version), Object: w.Object, ProjectID: w.ProjectID, UserID: w.UserID,
		RequestID: w.RequestID, State: stateLive, Shared: h.g.shared, Preempt: w.Preempt, Direction: forward, Step: h.g.steps[h.g.first(h.e.o.Faults)].name,
		Deadline: clock.Micros(now.Add(h.g.deadline)), Params: string(text), Owner: h.e.o.Owner, Epoch: 1,
		LeaseUntil: clock.Micros(now.Add(leaseTime)), CreatedAt: clock.Micros(now), UpdatedAt: clock.Micros(now)}
	for try := range 5 { // again when another request came in between
		if try > 0 || !w.Fresh {
			taken, err := h.e.place(ctx, tx, row, w.Follows)
			if err != nil {
				return "", err
			}
			if taken != "" {
				return taken, nil
			}
		}
		done, err := insertSaga(ctx, tx, row)
		if err != nil {
			return "", err
		}
		if done {
			if row.State == stateLive {
				tx.AfterCommit(func() {
					h.e.begin(stored{row, term})
					later.Do(ctx, h.e.nudge)
				})
			}
			return row.ID, nil
		}
	}
	return "", fault.Unavailablef("The object is being changed by many requests at once.")
}

// place decides beside the object's other sagas: in which state row begins, or
// which saga it joins.
func (e *Engine) place(ctx context.Context, tx *db.Tx, row *sagaRow, follows string) (join string, err error) {
	others, err := sagas.Find(ctx, tx, eq("object", row.Object))
	if err != nil {
		return "", err
	}
	row.State = stateLive
	if n := len(others); follows != "" {
		others = slices.DeleteFunc(others, func(o *sagaRow) bool { return o.ID == follows && !o.Cancel })
		if len(others) < n {
			row.State = stateWaiting
		}
	}
	if !row.Preempt {
		for _, o := range others {
			if follows != "" || o.State == stateWaiting || (!o.Shared && !row.Shared) {
				f := fault.Conflictf("Another operation on the object is in progress: %s", o.ID)
				f.Detail = map[string]any{"saga": o.ID, "operation": o.Op}
				return "", f
			}
		}
		return "", nil
	}
	if i := slices.IndexFunc(others, func(o *sagaRow) bool { return o.Op == row.Op && !o.Cancel }); i >= 0 {
		return others[i].ID, nil
	}
	for _, o := range others {
		hit, err := cancelSaga(ctx, tx, o.ID)
		if err != nil {
			return "", err
		}
		if hit {
			row.State = stateWaiting
			tx.AfterCommit(func() { e.interrupt(o.ID) })
			if o.Owner != e.o.Owner {
				tx.Notify(Topic, o.ID)
			}
		}
	}
	return "", nil
}
