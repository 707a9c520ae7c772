package volumes

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/rest"
)

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

// settleStatus gives a volume the status that follows from its attachments,
// unless work on it is under way.
func settleStatus(v *volume) error {
	if !v.Status.Busy() {
		v.Status = blockstorage.StatusOf(v.Attachments)
	}
	return nil
}

// connectorBody is what a host says of itself that wants a volume.
type connectorBody struct {
	Connector map[string]any `json:"connector" v:"required"`
}

// connector reads the host that a connection is for: one of this cloud, since
// volumes are files of hosts and not exports.
func (a api) connector(c *rest.Call) (*volume, string, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return nil, "", err
	}
	var in connectorBody
	if err := c.Decode(&in); err != nil {
		return nil, "", err
	}
	host, err := a.volumes.ConnectorHost(in.Connector)
	return v, host, err
}

// initialize makes a volume available on a host and tells how it is reached there.
func (a api) initialize(c *rest.Call) (rest.Reply, error) {
	v, host, err := a.connector(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.volumes.bring(c.Context(), v.ID, host); err != nil {
		return rest.Reply{}, err
	}
	if err := a.note(c, v); err != nil {
		return rest.Reply{}, err
	}
	mode := "rw"
	if v.ReadOnly == "True" {
		mode = "ro"
	}
	return rest.OK(map[string]any{"connection_info": map[string]any{"driver_volume_type": "local",
		"data": map[string]any{"volume_id": v.ID, "host": host, "access_mode": mode, "encrypted": false, "qos_specs": nil, "discard": true}}})
}

// terminate ends what initialize began: there is nothing on the host to undo.
func (a api) terminate(c *rest.Call) (rest.Reply, error) {
	v, _, err := a.connector(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.note(c, v); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// note writes the audit record of an action that changes no row.
func (a api) note(c *rest.Call, v *volume) error {
	record := c.Event("volume", v.ID, v.ProjectID)
	return a.volumes.DB.Write(c.Context(), func(tx *db.Tx) error { return outbox.Write(c.Context(), tx, record) })
}
