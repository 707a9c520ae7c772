package task

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

// graph is a saga without its types.
type graph struct {
	name     string
	version  int
	deadline time.Duration
	shared   bool
	steps    []stepInfo
	open     func(row *sagaRow) (runner, error)
}

type stepInfo struct {
	name    string
	timeout time.Duration
	effect  bool // has a Do
	commits bool // has a Commit
	undone  bool // has an Undo or an UndoCommit
}

func (g *graph) index(step string) int {
	return slices.IndexFunc(g.steps, func(s stepInfo) bool { return s.name == step })
}

// runner runs the steps of one saga, types erased. begin comes before the
// calls for a step.
type runner interface {
	begin(step int, attempt int64, why error)
	skip(step int) bool
	do(ctx context.Context) error
	commit(ctx context.Context, tx *db.Tx) error
	flush(ctx context.Context, tx *db.Tx) error // ends the commits of one transaction
	undo(ctx context.Context) error
	undoCommit(ctx context.Context, tx *db.Tx) error
	save() (string, error)      // the state as JSON
	restore(saved string) error // the inverse, for a transaction that runs twice
}

type typed[P, S any] struct {
	steps []Step[P, S]
	last  func(ctx context.Context, tx *db.Tx, r *Run[P, S]) error // Saga.Flush
	at    int
	run   Run[P, S]
}

func open[P, S any](s Saga[P, S], row *sagaRow) (runner, error) {
	t := &typed[P, S]{steps: s.Steps, last: s.Flush}
	t.run = Run[P, S]{ID: row.ID, Object: row.Object, ProjectID: row.ProjectID, UserID: row.UserID, RequestID: row.RequestID}
	if err := json.Unmarshal([]byte(row.Params), &t.run.Params); err != nil {
		return nil, fault.Internalf("stored parameters: %w", err)
	}
	return t, t.restore(row.Saved)
}

func (t *typed[P, S]) begin(step int, attempt int64, why error) {
	t.at, t.run.step, t.run.Attempt, t.run.Err = step, t.steps[step].Name, int(attempt), why
}

func (t *typed[P, S]) skip(step int) bool {
	f := t.steps[step].Skip
	return f != nil && f(&t.run)
}

func (t *typed[P, S]) do(ctx context.Context) error {
	if f := t.steps[t.at].Do; f != nil {
		return contain(func() error { return f(ctx, &t.run) })
	}
	return nil
}

func (t *typed[P, S]) undo(ctx context.Context) error {
	if f := t.steps[t.at].Undo; f != nil {
		return contain(func() error { return f(ctx, &t.run) })
	}
	return nil
}

func (t *typed[P, S]) commit(ctx context.Context, tx *db.Tx) error {
	if f := t.steps[t.at].Commit; f != nil {
		return f(ctx, tx, &t.run)
	}
	return nil
}

func (t *typed[P, S]) flush(ctx context.Context, tx *db.Tx) error {
	if t.last == nil || t.run.Held == nil {
		return nil
	}
	defer func() { t.run.Held = nil }()
	return t.last(ctx, tx, &t.run)
}

func (t *typed[P, S]) undoCommit(ctx context.Context, tx *db.Tx) error {
	if f := t.steps[t.at].UndoCommit; f != nil {
		return f(ctx, tx, &t.run)
	}
	return nil
}

func (t *typed[P, S]) save() (string, error) {
	b, err := json.Marshal(t.run.State)
	return string(b), err
}

func (t *typed[P, S]) restore(saved string) error {
	var s S
	if saved != "" {
		if err := json.Unmarshal([]byte(saved), &s); err != nil {
			return fault.Internalf("stored state: %w", err)
		}
	}
	t.run.State, t.run.Held = s, nil
	return nil
}

// contain turns a panic of a step into an error: one saga's defect must not
// take the process and all others with it.
func contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internalf("panic in a step: %v", p)
		}
	}()
	return f()
}

// cause is how the reason of an unwinding is kept in the saga's row.
type cause struct {
	Kind      fault.Kind `json:"kind"`
	Text      string     `json:"text"`
	Code      string     `json:"code,omitempty"`
	Log       string     `json:"log,omitempty"`
	Cancelled bool       `json:"cancelled,omitempty"`
}

func causeOf(err error) *cause {
	f := fault.As(err)
	return &cause{Kind: f.Kind, Text: f.Text, Code: f.Code, Log: err.Error(), Cancelled: Cancelled(err)}
}

func (c *cause) err() error {
	switch {
	case c == nil:
		return nil
	case c.Cancelled:
		return errCancelled
	}
	return &fault.Fault{Kind: c.Kind, Text: c.Text, Code: c.Code, Cause: fmt.Errorf("%s", c.Log)}
}
