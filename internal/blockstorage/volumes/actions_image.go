package volumes

import (
	"maps"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/rest"
)

func (a api) setImageMeta(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Metadata map[string]string `json:"metadata" v:"required"`
	}
	return a.imageMeta(c, &in, func(meta map[string]string) error {
		maps.Copy(meta, in.Metadata)
		return blockstorage.CheckMetadata(in.Metadata)
	}, true)
}

func (a api) unsetImageMeta(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Key string `json:"key" v:"required,min=1,max=255"`
	}
	return a.imageMeta(c, &in, func(meta map[string]string) error {
		if _, ok := meta[in.Key]; !ok {
			return fault.NotFoundf("Glance metadata for volume/snapshot %s cannot be found.", c.Var("id"))
		}
		delete(meta, in.Key)
		return nil
	}, false)
}

func (a api) imageMeta(c *rest.Call, in any, f func(map[string]string) error, show bool) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Decode(in); err != nil {
		return rest.Reply{}, err
	}
	v, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), func(v *volume) error {
		v.ImageMeta = maps.Clone(v.ImageMeta)
		return f(v.ImageMeta)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	if !show {
		return rest.OK(nil)
	}
	return rest.OK(map[string]any{"metadata": v.ImageMeta})
}

func (a api) showImageMeta(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"metadata": v.ImageMeta})
}

func (a api) upload(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name       string              `json:"image_name" v:"required,min=1,max=255"`
		Force      rest.Opt[rest.Bool] `json:"force"`
		Disk       rest.Opt[string]    `json:"disk_format" v:"enum=raw|vmdk|vdi|qcow2|vhd|vhdx|ploop"`
		Container  rest.Opt[string]    `json:"container_format"`
		Visibility rest.Opt[string]    `json:"visibility" since:"3.1" v:"enum=community|public|private|shared"`
		Protected  rest.Opt[rest.Bool] `json:"protected" since:"3.1"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Container.V != "" && in.Container.V != "bare" {
		return rest.Reply{}, fault.New(fault.NotImplemented, "Volumes are uploaded in container format bare only.")
	}
	if in.Visibility.V == "public" && !c.Allow(ruleUploadPublic, a.table.Target(v)) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleUploadPublic)
	}
	made := image.NewImage{ID: id.New(), Name: in.Name, Owner: v.ProjectID, Visibility: image.Visibility(in.Visibility.Or("")),
		Disk: image.Format(orElse(in.Disk.V, "raw")), Container: orElse(in.Container.V, "bare"), MinDisk: v.SizeGiB,
		Protected: bool(in.Protected.V), Properties: uploaded(v)}
	v, err = a.volumes.beginUpload(c.Context(), v.ID, made, c.Event("volume", v.ID, v.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"os-volume_upload_image": map[string]any{"id": v.ID, "updated_at": blockstorage.Time(v.UpdatedAt), "status": "uploading",
		"display_description": blockstorage.OrNull(v.Description, v.NoDescribed), "size": v.SizeGiB, "volume_type": blockstorage.NullIfEmpty(v.TypeName),
		"image_id": made.ID, "container_format": made.Container, "disk_format": made.Disk, "image_name": made.Name,
		"visibility": orElse(string(made.Visibility), "private"), "protected": made.Protected}})
}

// uploaded are the image properties that a volume brings back from the image
// it was made of. What describes that image's own bytes is left behind.
func uploaded(v *volume) map[string]string {
	out := maps.Clone(v.ImageMeta)
	for _, own := range []string{"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"} {
		delete(out, own)
	}
	return out
}
