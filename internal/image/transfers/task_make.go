package transfers

import (
	"context"
	"encoding/json"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
	"github.com/mekcloud/mek/internal/task"
)

// makeParams say which image a task of type "import" makes.
type makeParams struct {
	Task       string          `json:"task"`
	Image      string          `json:"image"` // its id, minted with the request
	URI        string          `json:"uri"`
	Properties json.RawMessage `json:"properties,omitempty"`
	Lacks      string          `json:"lacks,omitempty"` // what is wrong with the input
}

type makeRun = task.Run[makeParams, struct{}]

// makeSaga makes an image of what is at an address. Of one that fails nothing
// is left but the task, which says why.
func (t *Transfers) makeSaga() task.Saga[makeParams, struct{}] {
	return task.Saga[makeParams, struct{}]{Name: "image.task", Deadline: importDeadline, Steps: []task.Step[makeParams, struct{}]{
		{Name: "begin", Commit: func(ctx context.Context, tx *db.Tx, r *makeRun) error { return t.Tasks.WorkIn(ctx, tx, r.Params.Task) }, UndoCommit: t.makeFailed},
		{Name: "image", Do: t.makeImage, Undo: func(ctx context.Context, r *makeRun) error { return t.Discard(ctx, r.Params.Image) }},
		{Name: "fetch", Do: t.fillImage, Timeout: importDeadline, Commit: func(ctx context.Context, tx *db.Tx, r *makeRun) error {
			return t.Tasks.EndIn(ctx, tx, r.Params.Task, r.Params.Image, "")
		}},
	}}
}

// makeImage records the image, under the id that the request minted.
func (t *Transfers) makeImage(ctx context.Context, r *makeRun) error {
	if r.Params.Lacks != "" {
		return fault.Invalidf("%s", r.Params.Lacks)
	}
	i, err := t.Records.Parse(r.Params.Properties, "", r.ProjectID)
	if err != nil {
		return err
	}
	if i.ID != "" {
		return fault.Invalidf("The id of an image cannot be chosen by a task")
	}
	i.ID = r.Params.Image
	_, err = t.Records.Insert(ctx, i, noteOf(r, "create"))
	if fault.Is(err, fault.Conflict) {
		return nil // made before: nobody else knows the id
	}
	return err
}

// fillImage brings the bytes. Of an image that has them already nothing is asked.
func (t *Transfers) fillImage(ctx context.Context, r *makeRun) error {
	i, err := t.Records.Get(ctx, r.Params.Image)
	if err != nil || i.Status == image.Active {
		return err
	}
	if t.Fetch == nil {
		return fault.Invalidf("URI for legacy import task does not pass filtering: %s", r.Params.URI)
	}
	content, size, err := t.Fetch.Get(ctx, r.Params.URI)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = t.receive(ctx, job{image: i.ID, kind: files.Image, during: image.Saving, after: image.Active, announced: max(0, size), seize: true,
		record: noteOf(r, "import")}, content)
	return err
}

func (t *Transfers) makeFailed(ctx context.Context, tx *db.Tx, r *makeRun) error {
	return t.Tasks.EndIn(ctx, tx, r.Params.Task, "", reason(r.Err))
}

// noteOf is the audit record of what was done for a user.
func noteOf(r *makeRun, action string) event.Record {
	out := note(action, r.Params.Image, r.ProjectID)
	out.UserID, out.RequestID = r.UserID, r.RequestID
	return out
}

// reason is why a task failed, as its user may read it.
func reason(err error) string {
	if err == nil {
		return "The import was stopped"
	}
	return fault.As(err).Text
}
