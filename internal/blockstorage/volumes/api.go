package volumes

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

// Routes are the operations of volumes.
func (s *Volumes) Routes() []rest.Route {
	a := api{s, table(s.store), brief(s.store), core(s.store)}
	return append(a.metadata().Routes("/v3/volumes/{id}/metadata"), []rest.Route{
		{Method: "GET", Path: "/v3/volumes", Rule: ruleGetAll, Bare: true, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.brief) }},
		{Method: "GET", Path: "/v3/volumes/detail", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.table) }},
		{Method: "GET", Path: "/v3/volumes/summary", Rule: ruleGetAll, Since: blockstorage.Summary, Handle: a.summary},
		{Method: "POST", Path: "/v3/volumes", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v3/volumes/{id}", Rule: ruleGet, Object: true, Handle: a.table.Read},
		{Method: "PUT", Path: "/v3/volumes/{id}", Rule: ruleUpdate, Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v3/volumes/{id}", Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.remove},
		{Method: "POST", Path: "/v3/volumes/{id}/action", Actions: a.actions()},
		{Method: "GET", Path: "/v3/volumes/{id}/encryption", Rule: ruleEncryption, Object: true, Handle: a.encryption},
		{Method: "GET", Path: "/v3/volumes/{id}/encryption/{key}", Rule: ruleEncryption, Object: true, Handle: a.encryptionItem},
	}...)
}

type api struct {
	volumes *Volumes
	table   rest.Resource[volume]
	brief   rest.Resource[volume]
	core    rest.Resource[volume]
}

func viewer(c *rest.Call) blockstorage.Viewer {
	return blockstorage.Viewer{ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Admin: c.Allow(ruleHost, c.Caller())}
}

func scope(c *rest.Call) []listing.Term { return wire.Scope(c, ruleHost) }

func (a api) list(c *rest.Call, t *rest.Resource[volume]) (rest.Reply, error) {
	return wire.List(c, t, scope(c), blockstorage.VolumeNotFound, true)
}

func (a api) summary(c *rest.Call) (rest.Reply, error) {
	count, size, metadata, err := a.volumes.summary(c.Context(), scope(c)...)
	if err != nil {
		return rest.Reply{}, err
	}
	out := map[string]any{"total_count": count, "total_size": size}
	if c.At(blockstorage.SummaryMetadata) {
		out["metadata"] = metadata
	}
	return rest.OK(map[string]any{"volume-summary": out})
}

// createBody are the members of a create request that mean something here;
// upstream lets any others pass.
type createBody struct {
	Name               rest.Opt[string]            `json:"name" v:"max=255"`
	DisplayName        rest.Opt[string]            `json:"display_name" v:"max=255"`
	Description        rest.Opt[string]            `json:"description" v:"max=65535"`
	DisplayDescription rest.Opt[string]            `json:"display_description" v:"max=65535"`
	Size               rest.Opt[rest.Int]          `json:"size"`
	Type               rest.Opt[string]            `json:"volume_type" v:"max=255"`
	Metadata           rest.Opt[map[string]string] `json:"metadata"`
	Snapshot           rest.Opt[string]            `json:"snapshot_id"`
	Source             rest.Opt[string]            `json:"source_volid"`
	Image              rest.Opt[string]            `json:"imageRef"`
	ImageID            rest.Opt[string]            `json:"image_id"`
	Zone               rest.Opt[string]            `json:"availability_zone" v:"max=255"`
	Multiattach        rest.Opt[rest.Bool]         `json:"multiattach"`
	Backup             rest.Opt[string]            `json:"backup_id"`
	Group              rest.Opt[string]            `json:"group_id"`
	Consistency        rest.Opt[string]            `json:"consistencygroup_id"`
	Replica            rest.Opt[string]            `json:"source_replica"`
	Hints              rest.Opt[map[string]any]    `json:"OS-SCH-HNT:scheduler_hints"`
}

var createMembers = []string{"name", "display_name", "description", "display_description", "size", "volume_type", "metadata", "snapshot_id", "source_volid",
	"imageRef", "image_id", "availability_zone", "multiattach", "backup_id", "group_id", "consistencygroup_id", "source_replica", "OS-SCH-HNT:scheduler_hints"}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in createBody
	if err := wire.DecodeLoose(c, "volume", createMembers, &in); err != nil {
		return rest.Reply{}, err
	}
	d, err := in.draft(c)
	if err == nil {
		d.hints, err = readHints(in.Hints.V)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if d.Source.ImageID != "" && !c.Allow(ruleCreateFromImage, c.Caller()) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleCreateFromImage)
	}
	if err := a.volumes.derive(c.Context(), d, in.Type.V, viewer(c)); err != nil {
		return rest.Reply{}, err
	}
	if d.Multiattach && !c.Allow(ruleMultiattach, c.Caller()) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleMultiattach)
	}
	v, err := a.volumes.create(c.Context(), d, c.Event("volume", d.ID, d.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.core.Body(c, v))
}

// draft is the volume that a request describes.
func (in *createBody) draft(c *rest.Call) (*draft, error) {
	name, text := in.Name, in.Description
	if !name.Set {
		name = in.DisplayName
	}
	if !text.Set {
		text = in.DisplayDescription
	}
	d := &draft{Volume: volume{ID: id.New(), ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Name: strings.TrimSpace(name.V), NoName: !name.Set || name.Null,
		Description: text.V, NoDescribed: !text.Set || text.Null, Zone: in.Zone.V, Metadata: in.Metadata.V, Multiattach: bool(in.Multiattach.V)}}
	d.Source = blockstorage.Source{SnapshotID: in.Snapshot.V, VolumeID: in.Source.V, ImageID: in.Image.V}
	if c.At(blockstorage.BackupOnCreate) {
		d.Source.BackupID = in.Backup.V
	}
	if c.At(blockstorage.GroupOnVolume) {
		d.GroupID = in.Group.V
	}
	if d.Source.ImageID == "" {
		d.Source.ImageID = in.ImageID.V
	}
	if i := strings.LastIndex(d.Source.ImageID, "/"); i >= 0 { // a link to the image
		d.Source.ImageID = d.Source.ImageID[i+1:]
	}
	for what, word := range map[string]string{"snapshot_id": in.Snapshot.V, "source_volid": in.Source.V, "imageRef": d.Source.ImageID,
		"backup_id": d.Source.BackupID, "group_id": d.GroupID} {
		if word != "" && !id.Valid(word) {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Value: %s. it is not a 'uuid'", what, url.QueryEscape(word))
		}
	}
	given := 0
	for _, word := range []string{d.Source.SnapshotID, d.Source.VolumeID, d.Source.ImageID, d.Source.BackupID} {
		if word != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, fault.Invalidf("May specify only one of snapshot, imageRef, source volume or backup")
	case in.Consistency.V != "" && d.GroupID != "":
		return nil, fault.Invalidf("May specify only one of group_id and consistencygroup_id")
	case in.Consistency.V != "":
		d.GroupID = in.Consistency.V // the older name of groups
	case in.Replica.V != "":
		return nil, fault.Invalidf("Creating a volume from a replica source was part of the replication v1 implementation which is no longer available.")
	}
	if in.Size.Set && !in.Size.Null {
		size, err := sizeOf(&in.Size.V, string(c.Payload()[:0]))
		if err != nil {
			return nil, err
		}
		d.SizeGiB = size
	}
	return d, nil
}

// readHints reads a user's wishes for where a volume is made.
func readHints(in map[string]any) (Hints, error) {
	var h Hints
	for _, name := range slices.Sorted(maps.Keys(in)) {
		var ids []string
		switch v := in[name].(type) {
		case nil:
		case string:
			ids = []string{v}
		case []any:
			for _, one := range v {
				text, _ := one.(string) // another type is no id
				ids = append(ids, text)
			}
		}
		switch name {
		case "same_host":
			h.Near = ids
		case "different_host":
			h.Far = ids
		case "local_to_instance", "query":
			return h, fault.New(fault.NotImplemented, "The scheduler hint %s is not available.", name)
		default:
			continue // hints are free words; those that nobody knows mean nothing
		}
		if slices.ContainsFunc(ids, func(word string) bool { return !id.Valid(word) }) {
			return h, fault.Invalidf("Invalid input for field/attribute %s. It is not a list of 'uuid'", name)
		}
	}
	return h, nil
}

// updateBody reads an update; from 3.53 other members are refused.
func updateBody(c *rest.Call) (*createBody, error) {
	in := &createBody{}
	if !c.At(blockstorage.StrictBodies) {
		return in, wire.DecodeLoose(c, "volume", []string{"name", "display_name", "description", "display_description", "metadata"}, in)
	}
	var strict struct {
		Volume struct {
			Name               rest.Opt[string]            `json:"name" v:"max=255"`
			DisplayName        rest.Opt[string]            `json:"display_name" v:"max=255"`
			Description        rest.Opt[string]            `json:"description" v:"max=65535"`
			DisplayDescription rest.Opt[string]            `json:"display_description" v:"max=65535"`
			Metadata           rest.Opt[map[string]string] `json:"metadata"`
		} `json:"volume" v:"required"`
	}
	err := c.Decode(&strict)
	v := strict.Volume
	in.Name, in.DisplayName, in.Description, in.DisplayDescription, in.Metadata = v.Name, v.DisplayName, v.Description, v.DisplayDescription, v.Metadata
	return in, err
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	in, err := updateBody(c)
	if err != nil {
		return rest.Reply{}, err
	}
	name, text := in.Name, in.Description
	if !name.Set {
		name = in.DisplayName
	}
	if !text.Set {
		text = in.DisplayDescription
	}
	if !name.Set && !text.Set && !in.Metadata.Set {
		return rest.Reply{}, fault.Invalidf("At least one of 'name', 'description', 'metadata' is required.")
	}
	if err := blockstorage.CheckMetadata(in.Metadata.V); err != nil {
		return rest.Reply{}, err
	}
	v, err = a.volumes.change(c.Context(), v.ID, c.Event("volume", v.ID, v.ProjectID), func(v *volume) error {
		if name.Set {
			v.Name, v.NoName = strings.TrimSpace(name.V), name.Null
		}
		if text.Set {
			v.Description, v.NoDescribed = text.V, text.Null
		}
		if in.Metadata.Set && !in.Metadata.Null {
			v.Metadata = in.Metadata.V
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.core.Body(c, v))
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	flag := func(name string) bool { b, _ := rest.ParseBool(c.Values().Get(name)); return b }
	force := c.At(blockstorage.ForceOnDelete) && flag("force")
	if force && !c.Allow(ruleDeleteForced, a.table.Target(v)) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow volume:force_delete to be performed.")
	}
	if err := a.volumes.drop(c.Context(), v.ID, force, flag("cascade"), c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// ViewVolume is a volume as its creation answers it.
func (s *Volumes) ViewVolume(c *rest.Call, v *volume) map[string]any {
	t := core(s.store)
	return t.View(c, v)
}
