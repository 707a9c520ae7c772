package volumes

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/rest"
)

func (a api) actions() map[string]rest.Action {
	return map[string]rest.Action{
		"os-extend":                    {Rule: ruleExtend, Audit: "extend", Handle: a.extend},
		"os-reset_status":              {Rule: ruleResetStatus, Audit: "reset_status", Handle: a.resetStatus},
		"os-force_delete":              {Rule: ruleForceDelete, Audit: "delete", Handle: a.forceDelete},
		"os-set_bootable":              {Rule: ruleUpdate, Audit: "update", Handle: a.setBootable},
		"os-update_readonly_flag":      {Rule: ruleReadOnly, Audit: "update", Handle: a.setReadOnly},
		"os-reserve":                   {Rule: ruleReserve, Audit: "reserve", Handle: a.status(a.reserve)},
		"os-unreserve":                 {Rule: ruleUnreserve, Audit: "unreserve", Handle: a.status(unreserve)},
		"os-begin_detaching":           {Rule: ruleBeginDetaching, Audit: "begin_detaching", Handle: a.status(beginDetaching)},
		"os-roll_detaching":            {Rule: ruleRollDetaching, Audit: "roll_detaching", Handle: a.status(rollDetaching)},
		"os-attach":                    {Rule: ruleAttach, Audit: "attach", Handle: a.attach},
		"os-detach":                    {Rule: ruleDetach, Audit: "detach", Handle: a.detach},
		"os-force_detach":              {Rule: ruleForceDetach, Audit: "detach", Handle: func(c *rest.Call) (rest.Reply, error) { return a.release(c, true) }},
		"os-retype":                    {Rule: ruleRetype, Audit: "retype", Handle: a.retype},
		"os-set_image_metadata":        {Rule: ruleImageMetaSet, Audit: "update", Handle: a.setImageMeta},
		"os-unset_image_metadata":      {Rule: ruleImageMetaRemove, Audit: "update", Handle: a.unsetImageMeta},
		"os-show_image_metadata":       {Rule: ruleImageMetaShow, Audit: "show", Handle: a.showImageMeta},
		"os-volume_upload_image":       {Rule: ruleUpload, Audit: "upload", Handle: a.upload},
		"os-initialize_connection":     {Rule: ruleInitialize, Audit: "initialize_connection", Handle: a.initialize},
		"os-terminate_connection":      {Rule: ruleTerminate, Audit: "terminate_connection", Handle: a.terminate},
		"os-unmanage":                  {Rule: ruleUnmanage, Audit: "unmanage", Handle: a.unmanage},
		"os-migrate_volume":            {Rule: ruleMigrate, Audit: "migrate", Handle: a.migrate},
		"os-migrate_volume_completion": {Rule: ruleMigrated, Audit: "migrate", Handle: a.migrated},
		"os-extend_volume_completion":  {Rule: ruleExtendCompleted, Audit: "extend", Since: blockstorage.ExtendCompletion, Handle: a.extended},
		"revert":                       {Rule: ruleRevert, Audit: "revert", Since: blockstorage.Revert, Handle: a.revert},
		"os-reimage":                   {Rule: ruleReimage, Audit: "reimage", Since: blockstorage.Reimage, Handle: a.reimage},
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

// extended is how compute ends an extension that waits for it. Extensions end
// by themselves here, so none ever waits.
func (a api) extended(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Error rest.Opt[rest.Bool] `json:"error"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if v.Status != blockstorage.Extending {
		return rest.Reply{}, blockstorage.InvalidVolume("Volume is not being extended.")
	}
	return rest.Reply{}, blockstorage.InvalidVolume("The extension of volume %s waits for nobody: it ends by itself.", v.ID)
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
				blockstorage.NoteReset(&v.Error, status)
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
	reply, err := a.simple(c, &in, func(v *volume) error { v.Bootable = bool(in.Bootable); return nil })
	reply.Status = 200
	return reply, err
}

func (a api) setReadOnly(c *rest.Call) (rest.Reply, error) {
	var in struct {
		ReadOnly rest.Bool `json:"readonly" v:"required"`
	}
	return a.simple(c, &in, func(v *volume) error {
		if !v.May(blockstorage.ActReadOnly) {
			return blockstorage.InvalidVolume("Volume %s status must be available to update readonly flag, but current status is: %s.", v.ID, v.Status)
		}
		if v.ReadOnly = "False"; in.ReadOnly {
			v.ReadOnly = "True"
		}
		return nil
	})
}

// simple decodes an action and changes the volume by it.
func (a api) simple(c *rest.Call, in any, f func(*volume) error) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Decode(in); err != nil {
		return rest.Reply{}, err
	}
	_, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), f)
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
	if err := met(t); err != nil {
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
