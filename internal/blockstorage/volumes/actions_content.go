package volumes

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// revert gives a volume the content of its newest snapshot.
func (a api) revert(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Snapshot rest.Opt[string] `json:"snapshot_id" v:"uuid"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	latest, err := a.volumes.Snapshots.Latest(c.Context(), v.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return rest.Reply{}, fault.Invalidf("Volume %s doesn't have any snapshots.", v.ID)
	case err != nil:
		return rest.Reply{}, err
	case in.Snapshot.V != latest.ID:
		return rest.Reply{}, fault.Invalidf("Specified snapshot %s is None or not the latest one of volume %s.", in.Snapshot.V, v.ID)
	case latest.SizeGiB != v.SizeGiB:
		return rest.Reply{}, fault.Invalidf("Can't revert volume %s to its latest snapshot %s. The volume size must be equal to the snapshot size.", v.ID, latest.ID)
	}
	if err := a.volumes.beginRevert(c.Context(), v.ID, latest.ID, c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// reimage gives a volume the content of another image.
func (a api) reimage(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Image    string              `json:"image_id" v:"required,uuid"`
		Reserved rest.Opt[rest.Bool] `json:"reimage_reserved"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if v.Status == blockstorage.Reserved && !c.Allow(ruleReimageReserved, policy.Target{"project_id": v.ProjectID}) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleReimageReserved)
	}
	if !id.Valid(in.Image) {
		return rest.Reply{}, fault.Invalidf("Invalid image identifier or unable to access requested image.")
	}
	err = a.volumes.beginReimage(c.Context(), v.ID, in.Image, bool(in.Reserved.V), viewer(c), c.Event("volume", v.ID, v.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// encryption: no volume is encrypted, and that is all there is to say.
func (a api) encryption(c *rest.Call) (rest.Reply, error) {
	if _, err := a.table.Find(c, c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"encryption_key_id": nil})
}

func (a api) encryptionItem(c *rest.Call) (rest.Reply, error) {
	if _, err := a.table.Find(c, c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	if c.Var("key") != "encryption_key_id" {
		return rest.Reply{}, fault.NotFoundf("Volume %s has no encryption metadata with key %s.", c.Var("id"), c.Var("key"))
	}
	return rest.OK(map[string]any{"encryption_key_id": nil})
}
