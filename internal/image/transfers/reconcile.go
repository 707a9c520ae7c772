package transfers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
)

// grace is how old a file without a record must be where another server may be
// about to write the record.
const grace = 10 * time.Minute

// Sweep repairs what transfers that died left: it takes their images back to
// "queued" and removes files that no record claims. Files whose names it does
// not know are reported and stay.
func (t *Transfers) Sweep(ctx context.Context) error {
	silent := silence
	if t.Alone {
		silent = 0
	}
	dead, err := t.Records.Transfers(ctx, silent)
	if err != nil {
		return err
	}
	var all error
	for _, d := range dead {
		if t.runs(d) {
			continue
		}
		t.Log.Warn("a transfer died; its image is queued again", "image", d.ImageID)
		all = errors.Join(all, t.giveUp(ctx, job{image: d.ImageID, token: d.Token}))
	}
	return errors.Join(all, t.sweepFiles(ctx))
}

func (t *Transfers) runs(d image.Transfer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.running[d.Token]
	return ok
}

func (t *Transfers) works(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range t.running {
		if i == id {
			return true
		}
	}
	return false
}

func (t *Transfers) sweepFiles(ctx context.Context) error {
	entries, err := t.Files.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.ID == "" {
			t.Log.Warn("a file that is not an image lies in the image folder", "file", e.Name)
			continue
		}
		if t.works(e.ID) || (!t.Alone && t.Clock.Now().Sub(e.Modified) < grace) {
			continue
		}
		wanted, err := t.claimedByRecord(ctx, e)
		if err != nil {
			return err
		}
		if wanted || t.works(e.ID) {
			continue
		}
		t.Log.Warn("a file without a record is removed", "file", e.Name, "bytes", e.Size)
		if err := t.Files.Remove(e); err != nil {
			return err
		}
	}
	return nil
}

// claimedByRecord tells whether an image's record speaks of a file.
func (t *Transfers) claimedByRecord(ctx context.Context, e files.Entry) (bool, error) {
	i, err := t.Records.Get(ctx, e.ID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("record of %s: %w", e.Name, err)
	}
	switch e.Kind {
	case files.Image:
		return i.Status == image.Active || i.Status == image.Deactivated, nil
	case files.Staged:
		return i.Status == image.Uploading || i.Status == image.Importing, nil
	}
	return false, nil // a part: its transfer is dead
}
