package volumes

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/rest"
)

const ruleReimage = "volume_extension:volume_actions:reimage"

// reimage overwrites a volume that no server uses; one that is reserved needs
// its user's word.
func (a api) reimage(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Image    string    `json:"image_id" v:"required"`
		Reserved rest.Bool `json:"reimage_reserved"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	switch {
	case v.Status == blockstorage.Available, v.Status == blockstorage.Error, v.Status == blockstorage.Reserved && bool(in.Reserved):
	case v.Status == blockstorage.Reserved:
		return rest.Reply{}, blockstorage.InvalidVolume("Volume %s is reserved: reimage_reserved must be true.", v.ID)
	default:
		return rest.Reply{}, blockstorage.InvalidVolume("Volume %s status must be available or error, but current status is: %s.", v.ID, v.Status)
	}
	_, err = a.volumes.Images.Lookup(c.Context(), image.Viewer{ProjectID: c.Auth.ProjectID, Admin: c.Auth.HasRole("admin")}, in.Image)
	if fault.Is(err, fault.NotFound) {
		return rest.Reply{}, fault.Invalidf("Invalid image identifier or unable to access requested image.")
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.volumes.beginReimage(c.Context(), v.ID, in.Image, c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
