package tasks

import (
	"context"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
)

var idle = check.Code{ID: "I-13/image-task", Means: "a task shall make an image and no operation does it", Remedy: "report it with this line"}

// Checks are the conservation queries of tasks. A task that makes an image is its
// saga's object; others may be done by the request that began them.
func (t *Tasks) Checks() []check.Check {
	return []check.Check{{Name: "image/tasks", Codes: []check.Code{idle}, Rows: true, Run: func(ctx context.Context, l *check.Look) error {
		open, err := rows.Find(ctx, l, is("type", image.ImportTask), listing.Term{Column: "status", Op: listing.In, Values: []any{pending, processing}})
		for _, r := range open {
			if len(l.SagasOf(r.ID)) == 0 {
				l.Report(idle, check.Of("task", r.ID), "it is %s, and no saga has it", r.Status)
			}
		}
		return err
	}}}
}
