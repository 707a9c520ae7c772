package transfers

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
	"github.com/mekcloud/mek/internal/task"
)

// importDeadline is how long an image may take to be fetched.
const importDeadline = 6 * time.Hour

// importParams say what an import is to bring. Either URI or Source is set.
type importParams struct {
	Image  string       `json:"image"`
	Task   string       `json:"task"`
	URI    string       `json:"uri,omitempty"`
	Source string       `json:"source,omitempty"` // id of another image
	Region string       `json:"region,omitempty"` // where Source is
	Viewer image.Viewer `json:"viewer"`           // who must see Source
	// Locate keeps URI as the image's location; Digest is what its bytes must have
	// as SHA-512, if anything.
	Locate bool   `json:"locate,omitempty"`
	Digest string `json:"digest,omitempty"`
}

type importRun = task.Run[importParams, struct{}]

// importSaga fetches an image's bytes from elsewhere. What went wrong is told
// by the task that users see, and by the image itself.
func (t *Transfers) importSaga() task.Saga[importParams, struct{}] {
	return task.Saga[importParams, struct{}]{
		Name: "image.import", Deadline: importDeadline,
		Steps: []task.Step[importParams, struct{}]{
			{Name: "begin", UndoCommit: t.importFailed},
			{Name: "fetch", Do: t.fetch, Undo: t.unfetch, Commit: t.importDone, Timeout: importDeadline},
		},
	}
}

// fetch brings the bytes. Of an image that has them already nothing is asked.
func (t *Transfers) fetch(ctx context.Context, r *importRun) error {
	i, err := t.Records.Get(ctx, r.Params.Image)
	if err != nil || i.Status == image.Active {
		return err
	}
	content, size, err := t.source(ctx, r)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = t.receive(ctx, job{image: i.ID, kind: files.Image, during: image.Importing, after: image.Active, announced: max(0, size), digest: r.Params.Digest, seize: true,
		record: note("import", i.ID, i.Owner)}, content)
	return err
}

// source opens what an import brings.
func (t *Transfers) source(ctx context.Context, r *importRun) (io.ReadCloser, int64, error) {
	if r.Params.URI != "" {
		if t.Fetch == nil { // the operator thought better of it
			return nil, 0, fault.Invalidf("Images are not fetched from addresses here")
		}
		return t.Fetch.Get(ctx, r.Params.URI)
	}
	if r.Params.Region != t.Region {
		return nil, 0, fault.Invalidf("Region %s is not one of this cloud", r.Params.Region)
	}
	from, err := t.Lookup(ctx, r.Params.Viewer, r.Params.Source)
	if err != nil {
		return nil, 0, fault.Invalidf("Image %s to import from was not found", r.Params.Source).Because(err)
	}
	if from.Status != image.Active {
		return nil, 0, fault.Invalidf("Image %s to import from is not active", from.ID)
	}
	_, content, err := t.Open(ctx, from.ID)
	if err != nil {
		return nil, 0, err
	}
	_, err = t.Records.Update(ctx, r.Params.Image, note("update", r.Params.Image, r.ProjectID), func(i *image.Image) error {
		resemble(i, from)
		return nil
	})
	if err != nil {
		content.Close()
		return nil, 0, err
	}
	return content, content.Size(), nil
}

// brought are the properties that an image takes over from the one it is
// imported from, by name or by how it begins; as upstream has it.
var brought = []string{"hw_", "trait:", "os_distro", "os_secure_boot", "os_type"}

// resemble gives an image the formats and some properties of another.
func resemble(i, from *image.Image) {
	i.Disk, i.Container = from.Disk, from.Container
	i.Properties = maps.Clone(i.Properties)
	if i.Properties == nil {
		i.Properties = map[string]string{}
	}
	for name, value := range from.Properties {
		if slices.ContainsFunc(brought, func(b string) bool { return strings.HasPrefix(name, b) }) {
			i.Properties[name] = value
		}
	}
}

// unfetch takes bytes back that were brought; there may be none, or no image.
func (t *Transfers) unfetch(ctx context.Context, r *importRun) error {
	if err := t.Records.Withdraw(ctx, r.Params.Image); err != nil {
		return err
	}
	i, err := t.Records.Get(ctx, r.Params.Image)
	if fault.Is(err, fault.NotFound) || err == nil && i.Status == image.Queued {
		return t.Files.Drop(r.Params.Image)
	}
	return err
}

func (t *Transfers) importDone(ctx context.Context, tx *db.Tx, r *importRun) error {
	var err error
	if r.Params.Locate {
		err = t.Records.Locate(ctx, tx, r.Params.Image, r.Params.URI)
	} else {
		err = t.Records.Mark(ctx, tx, r.Params.Image, reached(""))
	}
	if err != nil {
		return err
	}
	return t.Tasks.EndIn(ctx, tx, r.Params.Task, r.Params.Image, "")
}

// reached are the properties by which clients follow an import: the stores that
// it did not reach, and those still to come.
func reached(failed string) map[string]string {
	return map[string]string{"os_glance_failed_import": failed, "os_glance_importing_to_stores": ""}
}

func (t *Transfers) importFailed(ctx context.Context, tx *db.Tx, r *importRun) error {
	if !r.Params.Locate {
		if err := t.Records.Mark(ctx, tx, r.Params.Image, reached(image.Store)); err != nil {
			return err
		}
	}
	return t.Tasks.EndIn(ctx, tx, r.Params.Task, r.Params.Image, reason(r.Err))
}
