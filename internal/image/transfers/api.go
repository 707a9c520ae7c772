package transfers

import (
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// Finder loads the image of a request's path for the caller, with the status
// of its membership, and authorises the route's rule on it.
type Finder interface {
	Find(c *rest.Call) (*image.Image, string, error)
}

// Routes are the operations on images' bytes.
func (t *Transfers) Routes(images Finder) []rest.Route {
	a := api{t, images}
	const one = "/v2/images/{id}"
	return []rest.Route{
		{Method: "PUT", Path: one + "/file", Rule: "upload_image", Object: true, Raw: true, Audit: "upload", Handle: a.upload},
		{Method: "GET", Path: one + "/file", Rule: "download_image", Object: true, Handle: a.download},
		{Method: "PUT", Path: one + "/stage", Rule: "modify_image", Object: true, Raw: true, Audit: "stage", Handle: a.stage},
		{Method: "POST", Path: one + "/import", Rule: "modify_image", Object: true, Audit: "import", Handle: a.imports},
		{Method: "POST", Path: one + "/locations", Rule: "add_image_location", Object: true, Audit: "add_location", Handle: a.addLocation},
		{Method: "GET", Path: one + "/locations", Rule: "fetch_image_location", Object: true, Handle: a.locations},
		{Method: "POST", Path: "/v2/tasks", Rule: "tasks_api_access", Audit: "create", Handle: a.createTask},
	}
}

type api struct {
	*Transfers
	images Finder
}

func (a api) upload(c *rest.Call) (rest.Reply, error) {
	return a.take(c, job{kind: files.Image, during: image.Saving, after: image.Active})
}

func (a api) stage(c *rest.Call) (rest.Reply, error) {
	return a.take(c, job{kind: files.Staged, during: image.Uploading, after: image.Uploading})
}

// take streams a request's body into a job.
func (a api) take(c *rest.Call, j job) (rest.Reply, error) {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/octet-stream" {
		return rest.Reply{}, fault.New(fault.UnsupportedMedia, "Invalid content type %s", c.Header.Get("Content-Type"))
	}
	if s := c.Header.Get("X-Image-Meta-Store"); s != "" && s != image.Store {
		return rest.Reply{}, fault.Invalidf("image.Store for identifier %s not found", s)
	}
	i, _, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if j.announced, err = announced(c.Request); err != nil {
		return rest.Reply{}, err
	}
	j.image, j.record = i.ID, c.Event("image", i.ID, i.Owner)
	if _, err := a.receive(c.Context(), j, c.Body); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// announced is how many bytes the client says will come; 0 when it does not.
func announced(r *http.Request) (int64, error) {
	text := r.Header.Get("X-Openstack-Image-Size")
	if text == "" {
		return max(0, r.ContentLength), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.Invalidf("Invalid or missing image size in request headers.")
	}
	return n, nil
}

func (a api) download(c *rest.Call) (rest.Reply, error) {
	i, _, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if i.Status == image.Deactivated && !c.Allow("context_is_admin", policy.Target{}) {
		return rest.Reply{}, fault.Forbiddenf("The requested image has been deactivated. Image data download is forbidden.")
	}
	if i.Status != image.Active && i.Status != image.Deactivated {
		return rest.NoContent()
	}
	start, length, partial, ok := byteRange(c.Header.Get("Range"), i.Size)
	if !ok {
		reply, err := rest.Answer(http.StatusRequestedRangeNotSatisfiable, nil)
		return reply.With("Content-Range", "bytes */"+strconv.FormatInt(i.Size, 10)), err
	}
	_, content, err := a.Open(c.Context(), i.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	blob, isFile := content.(*files.Blob)
	if !isFile {
		content.Close()
		return rest.Reply{}, fault.Internalf("image %s is not a file", i.ID)
	}
	if c.Method == http.MethodHead {
		blob.Close()
	}
	reply := rest.Reply{Status: http.StatusOK, Stream: func(w http.ResponseWriter) error { return send(w, blob, start, length) }}
	if partial {
		reply.Status = http.StatusPartialContent
		reply = reply.With("Content-Range", "bytes "+strconv.FormatInt(start, 10)+"-"+strconv.FormatInt(start+length-1, 10)+"/"+strconv.FormatInt(i.Size, 10))
	} else {
		reply = reply.With("Content-Md5", i.Checksum)
	}
	return reply.With("Content-Type", "application/octet-stream").With("Content-Length", strconv.FormatInt(length, 10)), nil
}

// send copies a part of a file; a plain file and a plain connection let the
// kernel do it.
func send(w io.Writer, blob *files.Blob, start, length int64) error {
	defer blob.Close()
	if _, err := blob.Seek(start, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(w, blob.File, length)
	return err
}

func (a api) imports(c *rest.Call) (rest.Reply, error) {
	in, err := parseImport(c.Payload(), a.methods())
	if err != nil {
		return rest.Reply{}, err
	}
	i, _, err := a.images.Find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.start(c, i, in); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// start begins an import and gives its task, if it came so far.
func (a api) start(c *rest.Call, i *image.Image, in importRequest) (string, error) {
	one := in.task(i)
	switch in.Method.Name {
	case direct:
		return a.importStaged(c, i, one)
	case copying:
		return a.copyImage(c, i, in, one)
	}
	if i.Status != image.Queued {
		return "", fault.Conflictf("Image needs to be in 'queued' state before '%s' method can be used", in.Method.Name)
	}
	if i.Disk == "" || i.Container == "" {
		return "", fault.Conflictf("'disk_format' and 'container_format' need to be set before import")
	}
	err := a.begin(c.Context(), one, importParams{Image: i.ID, URI: in.Method.URI, Source: in.Method.ImageID, Region: in.Method.Region, Viewer: a.viewer(c)}, work(c, i))
	if err != nil {
		return "", err
	}
	return one.ID, nil
}

func work(c *rest.Call, i *image.Image) task.Work {
	return task.Work{Object: i.ID, ProjectID: i.Owner, UserID: c.Auth.UserID, RequestID: c.RequestID}
}

// importStaged makes the image of what was staged, before it answers.
func (a api) importStaged(c *rest.Call, i *image.Image, one image.Task) (string, error) {
	if i.Status != image.Uploading {
		return "", fault.Conflictf("Image needs to be staged before 'glance-direct' method can be used")
	}
	if err := a.Tasks.Begin(c.Context(), one); err != nil {
		return "", err
	}
	failure := ""
	err := a.promote(c.Context(), i, c.Event("image", i.ID, i.Owner))
	if err != nil {
		failure = fault.As(err).Text
	}
	if e := a.Tasks.End(c.Context(), one.ID, i.ID, failure); e != nil {
		a.Log.Warn("the end of an import was not recorded", "task", one.ID, "error", e)
	}
	if fault.Is(err, fault.Conflict) {
		return one.ID, err
	}
	if err != nil { // as published, the answer is the same: the image is queued again, and its task says why
		a.Log.Warn("an import failed", "image", i.ID, "error", err)
	}
	return one.ID, nil
}

// copyImage copies to the stores that have not got the image: with one store
// there is none of them.
func (a api) copyImage(c *rest.Call, i *image.Image, in importRequest, one image.Task) (string, error) {
	if !c.Allow("copy_image", policy.Target{"project_id": i.Owner}) {
		return "", fault.Forbiddenf("You are not authorized to complete copy_image action.")
	}
	switch {
	case i.Status != image.Active:
		return "", fault.Conflictf("Only images with status active can be targeted for copying")
	case !in.AllStores && len(in.Stores) > 0:
		return "", fault.Conflictf("Image is already present at store '%s'", image.Store)
	}
	return one.ID, a.DB.Write(c.Context(), func(tx *db.Tx) error {
		if err := a.Tasks.BeginIn(c.Context(), tx, one); err != nil {
			return err
		}
		if err := a.Records.Mark(c.Context(), tx, i.ID, reached("")); err != nil {
			return err
		}
		return a.Tasks.EndIn(c.Context(), tx, one.ID, i.ID, "")
	})
}
