package volumes

import (
	"maps"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/rest"
)

func (a api) actions() map[string]rest.Action {
	return map[string]rest.Action{
		"os-extend":               {Rule: ruleExtend, Audit: "extend", Handle: a.extend},
		"os-reset_status":         {Rule: ruleResetStatus, Audit: "reset_status", Handle: a.resetStatus},
		"os-force_delete":         {Rule: ruleForceDelete, Audit: "delete", Handle: a.forceDelete},
		"os-set_bootable":         {Rule: ruleUpdate, Audit: "update", Handle: a.setBootable},
		"os-update_readonly_flag": {Rule: ruleReadOnly, Audit: "update", Handle: a.setReadOnly},
		"os-reserve":              {Rule: ruleReserve, Audit: "reserve", Handle: a.status(a.reserve)},
		"os-unreserve":            {Rule: ruleUnreserve, Audit: "unreserve", Handle: a.status(unreserve)},
		"os-begin_detaching":      {Rule: ruleBeginDetaching, Audit: "begin_detaching", Handle: a.status(beginDetaching)},
		"os-roll_detaching":       {Rule: ruleRollDetaching, Audit: "roll_detaching", Handle: a.status(rollDetaching)},
		"os-attach":               {Rule: ruleAttach, Audit: "attach", Handle: a.attach},
		"os-detach":               {Rule: ruleDetach, Audit: "detach", Handle: a.detach},
		"os-force_detach":         {Rule: ruleForceDetach, Audit: "detach", Handle: func(c *rest.Call) (rest.Reply, error) { return a.release(c, true) }},
		"os-retype":               {Rule: ruleRetype, Audit: "retype", Handle: a.retype},
		"os-set_image_metadata":   {Rule: ruleImageMetaSet, Audit: "update", Handle: a.setImageMeta},
		"os-unset_image_metadata": {Rule: ruleImageMetaRemove, Audit: "update", Handle: a.unsetImageMeta},
		"os-show_image_metadata":  {Rule: ruleImageMetaShow, Audit: "show", Handle: a.showImageMeta},
		"os-volume_upload_image":  {Rule: ruleUpload, Audit: "upload", Handle: a.upload},
		"os-reimage":              {Rule: ruleReimage, Audit: "reimage", Since: blockstorage.Reimaging, Handle: a.reimage},
	}
}

func (a api) extend(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Size rest.Int `json:"new_size" v:"required,min=1"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	attached := c.At(blockstorage.ExtendInUse) && c.Allow(ruleExtendAttached, a.table.Target(v))
	if err := a.volumes.extend(c.Context(), v.ID, int64(in.Size), attached, c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) resetStatus(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Status    rest.Opt[string] `json:"status"`
		Attach    rest.Opt[string] `json:"attach_status"`
		Migration rest.Opt[string] `json:"migration_status"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	status, attach := strings.ToLower(in.Status.V), strings.ToLower(in.Attach.V)
	switch {
	case status == "" && attach == "" && !in.Migration.Set:
		return rest.Reply{}, fault.Invalidf("Must specify 'status', 'attach_status' or 'migration_status' for update.")
	case status != "" && !slices.Contains(blockstorage.Resettable, status):
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute status. Value: %s. '%s' is not one of the statuses of a volume", status, status)
	case attach != "" && attach != "attached" && attach != "detached":
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute attach_status. Value: %s. '%s' is not one of ['attached', 'detached']", attach, attach)
	}
	record := c.Event("volume", v.ID, v.ProjectID)
	err = a.volumes.DB.Write(c.Context(), func(tx *db.Tx) error {
		_, err := a.volumes.Change(c.Context(), tx, v.ID, func(v *volume) error {
			if status != "" {
				v.Status = blockstorage.VolumeStatus(status)
			}
			if attach != "detached" {
				return nil
			}
			for _, at := range v.Attachments {
				if err := a.volumes.Attachments.Remove(c.Context(), tx, at.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, record)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) forceDelete(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.volumes.drop(c.Context(), v.ID, true, false, c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) setBootable(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Bootable rest.Bool `json:"bootable" v:"required"`
	}
	reply, err := a.simple(c, &in, func(v *volume) { v.Bootable = bool(in.Bootable) })
	reply.Status = 200
	return reply, err
}

func (a api) setReadOnly(c *rest.Call) (rest.Reply, error) {
	var in struct {
		ReadOnly rest.Bool `json:"readonly" v:"required"`
	}
	return a.simple(c, &in, func(v *volume) {
		if v.ReadOnly = "False"; in.ReadOnly {
			v.ReadOnly = "True"
		}
	})
}

// simple decodes an action and changes the volume by it.
func (a api) simple(c *rest.Call, in any, f func(*volume)) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Decode(in); err != nil {
		return rest.Reply{}, err
	}
	_, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), func(v *volume) error { f(v); return nil })
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// status is an action without a body that changes the status.
func (a api) status(f func(*volume) error) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		v, err := a.table.Find(c, c.Var("id"))
		if err != nil {
			return rest.Reply{}, err
		}
		if _, err := a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), f); err != nil {
			return rest.Reply{}, err
		}
		return rest.Accepted(nil)
	}
}

func (a api) reserve(v *volume) error {
	if err := Reservable(v); err != nil {
		return err
	}
	v.Status = blockstorage.Attaching
	return nil
}

func unreserve(v *volume) error {
	if v.Status == blockstorage.Attaching || v.Status == blockstorage.Reserved {
		v.Status = blockstorage.StatusOf(v.Attachments)
	}
	return nil
}

func beginDetaching(v *volume) error {
	if !v.May(blockstorage.ActBeginDetach) {
		return blockstorage.InvalidVolume("Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.")
	}
	v.Status = blockstorage.Detaching
	return nil
}

func rollDetaching(v *volume) error {
	if v.Status == blockstorage.Detaching {
		v.Status = blockstorage.InUse
	}
	return nil
}

func (a api) attach(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Server rest.Opt[string] `json:"instance_uuid" v:"uuid"`
		Host   rest.Opt[string] `json:"host_name" v:"max=255"`
		Device rest.Opt[string] `json:"mountpoint" v:"max=255"`
		Mode   rest.Opt[string] `json:"mode" v:"enum=ro|rw"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Server.V == "" && in.Host.V == "" {
		return rest.Reply{}, fault.Invalidf("Invalid request to attach volume to an invalid target")
	}
	record := c.Event("volume", v.ID, v.ProjectID)
	at := &blockstorage.Attachment{ID: id.New(), VolumeID: v.ID, ProjectID: v.ProjectID, ServerID: in.Server.V, Host: in.Host.V, Device: in.Device.V,
		Mode: orElse(in.Mode.V, "rw"), Status: blockstorage.AttachAttached, AttachedAt: a.volumes.now(), CreatedAt: a.volumes.now()}
	err = a.volumes.DB.Write(c.Context(), func(tx *db.Tx) error {
		_, err := a.volumes.Change(c.Context(), tx, v.ID, func(v *volume) error {
			if !v.May(blockstorage.ActAttach) && !(v.Multiattach && v.Status == blockstorage.InUse) {
				return blockstorage.InvalidVolume("Volume %s status must be available, but current status is: %s.", v.ID, v.Status)
			}
			v.Status = blockstorage.InUse
			return a.volumes.Attachments.Insert(c.Context(), tx, at)
		})
		if err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, record)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) detach(c *rest.Call) (rest.Reply, error) { return a.release(c, false) }

// release ends an attachment; by force also when the volume's status was
// written over, which it then loses.
func (a api) release(c *rest.Call, force bool) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Attachment rest.Opt[string] `json:"attachment_id"`
		Connector  any              `json:"connector"`
	}
	if p := strings.TrimSpace(string(c.Payload())); p != "null" && p != "" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	which := in.Attachment.V
	switch {
	case which == "" && len(v.Attachments) > 1:
		return rest.Reply{}, blockstorage.InvalidVolume("Detach volume failed: More than one attachment, but no attachment_id provided.")
	case which == "" && len(v.Attachments) == 1:
		which = v.Attachments[0].ID
	}
	if err := detachable(c, v, which); err != nil {
		return rest.Reply{}, err
	}
	record := c.Event("volume", v.ID, v.ProjectID)
	err = a.volumes.DB.Write(c.Context(), func(tx *db.Tx) error {
		if err := a.volumes.Detached(c.Context(), tx, v.ID, which); err != nil {
			return err
		}
		if force {
			if _, err := a.volumes.Change(c.Context(), tx, v.ID, settleStatus); err != nil {
				return err
			}
		}
		return outbox.Write(c.Context(), tx, record)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// detachable refuses to take a volume from under a server: only services may.
func detachable(c *rest.Call, v *volume, which string) error {
	for _, at := range v.Attachments {
		if at.ID == which && at.Connected && at.ServerID != "" && !c.Auth.HasRole("service") && !slices.Contains(c.Auth.ServiceRoles, "service") {
			return fault.Conflictf("Detach volume from instance %s using the Compute API", at.ServerID).With("ConflictNovaUsingAttachment")
		}
	}
	return nil
}

func (a api) setImageMeta(c *rest.Call) (rest.Reply, error) {
	var in metadataBody
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
	if in.Visibility.V == "public" && !c.Allow(ruleUploadPublic, a.table.Target(v)) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleUploadPublic)
	}
	made := image.NewImage{ID: id.New(), Name: in.Name, Owner: v.ProjectID, Visibility: image.Visibility(in.Visibility.Or("")),
		Disk: image.Format(orElse(in.Disk.V, "raw")), Container: orElse(in.Container.V, "bare"), MinDisk: v.SizeGiB}
	v, err = a.volumes.beginUpload(c.Context(), v.ID, made, c.Event("volume", v.ID, v.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"os-volume_upload_image": map[string]any{"id": v.ID, "updated_at": blockstorage.Time(v.UpdatedAt), "status": "uploading",
		"display_description": blockstorage.OrNull(v.Description, v.NoDescribed), "size": v.SizeGiB, "volume_type": blockstorage.NullIfEmpty(v.TypeName),
		"image_id": made.ID, "container_format": made.Container, "disk_format": made.Disk, "image_name": made.Name,
		"visibility": orElse(string(made.Visibility), "private"), "protected": false}})
}

// settleStatus gives a volume the status that follows from its attachments,
// unless work on it is under way.
func settleStatus(v *volume) error {
	switch v.Status {
	case blockstorage.Creating, blockstorage.Downloading, blockstorage.Deleting, blockstorage.Extending, blockstorage.Uploading:
	default:
		v.Status = blockstorage.StatusOf(v.Attachments)
	}
	return nil
}

// retype gives a volume another type. All hosts offer the same, so no data
// moves; a type that no host offers is refused at once.
func (a api) retype(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Type   string           `json:"new_type" v:"required,min=1,max=255"`
		Policy rest.Opt[string] `json:"migration_policy" v:"enum=on-demand|never"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	t, err := a.volumes.Types.Resolve(c.Context(), in.Type, v.ProjectID, viewer(c).Admin)
	if fault.Is(err, fault.NotFound) {
		return rest.Reply{}, fault.Invalidf("Invalid input received: Invalid volume_type passed: %s.", in.Type)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if err := offered(t); err != nil {
		return rest.Reply{}, fault.Invalidf("Invalid input received: %s", fault.As(err).Text)
	}
	_, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), func(v *volume) error {
		switch {
		case v.Status != blockstorage.Available && v.Status != blockstorage.InUse:
			return blockstorage.InvalidVolume("Retype needs volume to be in available or in-use state, not be part of an active migration or a consistency group, and requested type has to be different that the one from the volume, and for in-use volumes front-end qos specs cannot change.")
		case v.TypeID == t.ID:
			return fault.Invalidf("Invalid input received: Volume %s already has the requested type.", v.ID)
		case v.Status == blockstorage.InUse && v.Multiattach != t.Multiattach():
			return fault.Invalidf("Invalid input received: Changing multiattach of a volume in use is not possible.")
		}
		v.TypeID, v.Multiattach = t.ID, t.Multiattach()
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
