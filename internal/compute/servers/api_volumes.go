package servers

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *api) volumeRoutes() []rest.Route {
	const all, one = "/v2.1/servers/{id}/os-volume_attachments", "/v2.1/servers/{id}/os-volume_attachments/{volume}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: ruleVolumes + "index", Object: true, Query: rest.Known(compute.StrictEverywhere, "limit", "offset"), Handle: a.volumes},
		{Method: "POST", Path: all, Rule: ruleVolumes + "create", Object: true, Audit: "attach_volume", Handle: a.attachVolume},
		{Method: "GET", Path: one, Rule: ruleVolumes + "show", Object: true, Handle: a.volume},
		{Method: "PUT", Path: one, Rule: ruleVolumes + "update", Object: true, Audit: "update", Handle: a.updateVolume},
		{Method: "DELETE", Path: one, Rule: ruleVolumes + "delete", Object: true, Audit: "detach_volume", Handle: a.detachVolume},
	}
}

func attachmentView(c *rest.Call, d *Disk) map[string]any {
	out := map[string]any{"volumeId": d.VolumeID, "serverId": d.Server, "device": d.DeviceName}
	if !c.At(compute.AttachmentUUIDs) {
		out["id"] = d.VolumeID
	}
	if c.At(compute.AttachmentTags) {
		out["tag"] = orNull(d.Tag)
	}
	if c.At(compute.DeleteOnTermination) {
		out["delete_on_termination"] = d.DeleteOnTermination
	}
	return out
}

// shown adds what reads show, and the answer to an attachment does not.
func shown(c *rest.Call, d *Disk) map[string]any {
	out := attachmentView(c, d)
	if c.At(compute.AttachmentUUIDs) {
		out["attachment_id"], out["bdm_uuid"] = d.ID, d.ID
	}
	return out
}

func (a *api) volumes(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	disks, err := disksOf(c.Context(), a.s.DB, one.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, d := range disks[one.ID] {
		if d.VolumeID != "" {
			out = append(out, shown(c, d))
		}
	}
	out, err = page(c, out)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"volumeAttachments": out})
}

// page cuts a short list by limit and offset, as upstream does for attachments.
func page(c *rest.Call, all []map[string]any) ([]map[string]any, error) {
	read := func(name string, otherwise int) (int, error) {
		text := c.Values().Get(name)
		if text == "" {
			return otherwise, nil
		}
		var n rest.Int
		if err := n.UnmarshalJSON([]byte(text)); err != nil || n < 0 {
			return 0, fault.Invalidf("Invalid input for query parameters %s. Value: %s", name, text)
		}
		return int(n), nil
	}
	offset, err := read("offset", 0)
	if err != nil {
		return nil, err
	}
	limit, err := read("limit", len(all))
	if err != nil {
		return nil, err
	}
	all = all[min(offset, len(all)):]
	return all[:min(limit, len(all))], nil
}

func (a *api) volume(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	d, err := diskOfVolume(c.Context(), a.s.DB, one.ID, c.Var("volume"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"volumeAttachment": shown(c, d)})
}

func (a *api) attachVolume(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		A struct {
			VolumeID string           `json:"volumeId" v:"required,uuid"`
			Device   rest.Opt[string] `json:"device" v:"max=255"`
			Tag      string           `json:"tag" since:"2.49" v:"min=1,max=60"`
			Delete   *rest.Bool       `json:"delete_on_termination" since:"2.79"`
		} `json:"volumeAttachment" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	v, err := a.s.Volumes.Lookup(c.Context(), blockstorage.Viewer{ProjectID: one.ProjectID, UserID: c.Auth.UserID}, in.A.VolumeID)
	if fault.Is(err, fault.NotFound) {
		return rest.Reply{}, fault.NotFoundf("Volume %s could not be found.", in.A.VolumeID)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if !attachable(v) {
		return rest.Reply{}, fault.Invalidf("Invalid volume: volume %s status must be 'available'. Currently in '%s'", v.ID, v.Status)
	}
	if v.Multiattach && !c.At(compute.MultiAttach) {
		return rest.Reply{}, sharedEarly()
	}
	if err := shareable(v, one); err != nil {
		return rest.Reply{}, err
	}
	d := Disk{VolumeID: v.ID, SizeGiB: int(v.SizeGiB), Tag: in.A.Tag, Shared: v.Multiattach, DeleteOnTermination: in.A.Delete != nil && bool(*in.A.Delete)}
	made, err := a.s.AttachVolume(c.Context(), one.ID, d, override(c, one), record(c, one))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"volumeAttachment": attachmentView(c, made)})
}

// updateVolume sets whether the volume goes with its server. Swapping one
// volume for another is not built.
func (a *api) updateVolume(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		A struct {
			VolumeID string     `json:"volumeId" v:"required,uuid"`
			Device   string     `json:"device" since:"2.85"`
			Tag      string     `json:"tag" since:"2.85"`
			ServerID string     `json:"serverId" since:"2.85"`
			ID       string     `json:"id" since:"2.85"`
			Delete   *rest.Bool `json:"delete_on_termination" since:"2.85"`
		} `json:"volumeAttachment" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if !id.Valid(c.Var("volume")) {
		return rest.Reply{}, fault.NotFoundf("Volume %s could not be found.", c.Var("volume"))
	}
	if in.A.VolumeID != c.Var("volume") || in.A.Delete == nil {
		return rest.Reply{}, a.swapVolume(c, one, in.A.VolumeID)
	}
	if err := a.s.KeepOnTermination(c.Context(), one.ID, in.A.VolumeID, bool(*in.A.Delete), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// swapVolume says why a volume cannot take the place of another: what is wrong
// with the request, or else that no driver here can do it.
func (a *api) swapVolume(c *rest.Call, one *Server, to string) error {
	if !c.Allow(ruleSwap, target(&one.Server)) {
		return fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleSwap)
	}
	viewer := blockstorage.Viewer{ProjectID: one.ProjectID, UserID: c.Auth.UserID, Admin: true}
	from, err := a.s.Volumes.Lookup(c.Context(), viewer, c.Var("volume"))
	if err != nil {
		return err
	}
	v, err := a.s.Volumes.Lookup(c.Context(), viewer, to)
	if isGone(err) {
		return fault.Invalidf("Volume %s could not be found.", to)
	}
	if err != nil {
		return err
	}
	if _, err := diskOfVolume(c.Context(), a.s.DB, one.ID, c.Var("volume")); err != nil {
		return err
	}
	if v.Status != blockstorage.Available {
		return fault.Invalidf("Invalid volume: volume %s status must be 'available'. Currently in '%s'", v.ID, v.Status)
	}
	if len(from.Attachments) > 1 {
		return fault.Invalidf("Swapping multi-attach volumes with more than one read/write attachment is not supported.")
	}
	return fault.New(fault.NotImplemented, "Replacing a volume by another is not supported.")
}

func (a *api) detachVolume(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.DetachVolume(c.Context(), one.ID, c.Var("volume"), override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
