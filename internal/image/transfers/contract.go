package transfers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
)

var _ image.Service = (*Transfers)(nil)

// Lookup implements image.Service.
func (t *Transfers) Lookup(ctx context.Context, viewer image.Viewer, id string) (*image.Image, error) {
	i, err := t.Records.Get(ctx, id)
	if err != nil || viewer.Admin || i.Visible(viewer.ProjectID, "") {
		return i, err
	}
	member, err := t.Records.Membership(ctx, id, viewer.ProjectID)
	if err != nil {
		return nil, err
	}
	if !i.Visible(viewer.ProjectID, member) {
		return nil, fault.NotFoundf("No image found with ID %s", id)
	}
	return i, nil
}

// Find implements image.Service.
func (t *Transfers) Find(ctx context.Context, owner string, properties map[string]string) ([]*image.Image, error) {
	return t.Records.With(ctx, owner, properties)
}

// Open implements image.Service.
func (t *Transfers) Open(ctx context.Context, id string) (*image.Image, image.Bytes, error) {
	i, err := t.Records.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if i.Status != image.Active && i.Status != image.Deactivated {
		return nil, nil, fault.NotFoundf("Image %s has no data", id)
	}
	b, err := t.Files.Open(id, files.Image)
	if err != nil {
		return nil, nil, err
	}
	return i, b, nil
}

// Create implements image.Service.
func (t *Transfers) Create(ctx context.Context, in image.NewImage) error {
	i := &image.Image{ID: in.ID, Name: in.Name, Named: in.Name != "", Owner: in.Owner, Status: image.Queued, Visibility: in.Visibility, Disk: in.Disk,
		Container: in.Container, Size: -1, VirtualSize: -1, MinDisk: in.MinDisk, MinRAM: in.MinRAM, Protected: in.Protected, Tags: in.Tags, Properties: in.Properties}
	if !id.Valid(in.ID) {
		return fault.Internalf("image with id %q", in.ID)
	}
	if i.Visibility == "" {
		i.Visibility = image.Private
	}
	if i.Container == "" {
		i.Container = "bare"
	}
	_, err := t.Records.Insert(ctx, i, note("create", in.ID, in.Owner))
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	there, e := t.Records.Get(ctx, in.ID)
	if e != nil || there.Owner != in.Owner {
		return err
	}
	return nil
}

// note is the audit record of what another service does with an image.
func note(action, id, owner string) event.Record {
	return event.Record{Service: "image", Action: action, Kind: "image", Object: id, ProjectID: owner}
}

// Fill implements image.Service.
func (t *Transfers) Fill(ctx context.Context, id string, r io.Reader) (*image.Image, error) {
	i, err := t.Records.Get(ctx, id)
	if err != nil || i.Status == image.Active {
		return i, err
	}
	return t.receive(ctx, job{image: id, kind: files.Image, during: image.Saving, after: image.Active, seize: true, record: note("upload", id, i.Owner)}, r)
}

// Discard implements image.Service.
func (t *Transfers) Discard(ctx context.Context, id string) error {
	err := t.Records.Delete(ctx, id, note("delete", id, ""), true)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Serve gives an image to a host that may read it: hostlink's handler for
// streams of kind image.StreamKind.
func (t *Transfers) Serve(ctx context.Context, host string, params json.RawMessage) (io.ReadWriteCloser, error) {
	var p image.StreamParams
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, fault.Invalidf("Parameters of an image stream are malformed").Because(err)
	}
	if err := t.claimed(ctx, host, p.ID); err != nil {
		return nil, err
	}
	i, content, err := t.Open(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if p.Offset < 0 || p.Offset > content.Size() {
		content.Close()
		return nil, fault.Invalidf("Image %s has no byte %d", p.ID, p.Offset)
	}
	var head bytes.Buffer
	if err := image.WriteHead(&head, image.StreamHead{ID: i.ID, Format: i.Content, Size: content.Size(), Offset: p.Offset,
		VirtualSize: i.VirtualSize, SHA512: i.HashValue}); err != nil {
		content.Close()
		return nil, err
	}
	rest := io.NewSectionReader(content, p.Offset, content.Size()-p.Offset)
	return &outgoing{io.MultiReader(&head, rest), content}, nil
}

// claimed refuses a host that has nothing to do with an image. To it the image does not exist.
func (t *Transfers) claimed(ctx context.Context, host, id string) error {
	for _, c := range t.Claims {
		ok, err := c.HostMayRead(ctx, host, id)
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
	}
	return fault.NotFoundf("No image found with ID %s", id)
}

// outgoing is a stream that is only read.
type outgoing struct {
	io.Reader
	io.Closer
}

func (*outgoing) Write([]byte) (int, error) {
	return 0, fault.Invalidf("An image stream cannot be written")
}
