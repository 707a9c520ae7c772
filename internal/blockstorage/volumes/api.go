package volumes

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

// Routes are the operations of volumes.
func (s *Volumes) Routes() []rest.Route {
	a := api{s, table(s.store), brief(s.store), core(s.store)}
	return []rest.Route{
		{Method: "GET", Path: "/v3/volumes", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.brief) }},
		{Method: "GET", Path: "/v3/volumes/detail", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.table) }},
		{Method: "GET", Path: "/v3/volumes/summary", Rule: ruleGetAll, Since: blockstorage.Summary, Handle: a.summary},
		{Method: "POST", Path: "/v3/volumes", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v3/volumes/{id}", Rule: ruleGet, Object: true, Handle: a.table.Read},
		{Method: "PUT", Path: "/v3/volumes/{id}", Rule: ruleUpdate, Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v3/volumes/{id}", Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.remove},
		{Method: "GET", Path: "/v3/volumes/{id}/metadata", Rule: ruleMetaGet, Object: true, Handle: a.metadata},
		{Method: "POST", Path: "/v3/volumes/{id}/metadata", Rule: ruleMetaCreate, Object: true, Audit: "update", Handle: a.addMetadata},
		{Method: "PUT", Path: "/v3/volumes/{id}/metadata", Rule: ruleMetaUpdate, Object: true, Audit: "update", Handle: a.setMetadata},
		{Method: "GET", Path: "/v3/volumes/{id}/metadata/{key}", Rule: ruleMetaGet, Object: true, Handle: a.metadataItem},
		{Method: "PUT", Path: "/v3/volumes/{id}/metadata/{key}", Rule: ruleMetaUpdate, Object: true, Audit: "update", Handle: a.setMetadataItem},
		{Method: "DELETE", Path: "/v3/volumes/{id}/metadata/{key}", Rule: ruleMetaDelete, Object: true, Audit: "update", Handle: a.dropMetadataItem},
		{Method: "POST", Path: "/v3/volumes/{id}/action", Actions: a.actions()},
	}
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

// scope confines a list to the caller's project, unless an admin asks for all.
func scope(c *rest.Call) []listing.Term {
	all := c.Values()["all_tenants"]
	if len(all) > 0 && c.Allow(ruleHost, c.Caller()) {
		if v, ok := rest.ParseBool(all[0]); v || !ok {
			return nil
		}
	}
	return []listing.Term{{Column: "project_id", Values: []any{c.Auth.ProjectID}}}
}

func (a api) list(c *rest.Call, t *rest.Resource[volume]) (rest.Reply, error) {
	skip, err := blockstorage.SkipTerm(c.Values().Get("offset"))
	if err != nil {
		return rest.Reply{}, err
	}
	body, err := t.ListBody(c, append(scope(c), skip...)...)
	if fault.As(err).Code == "MarkerNotFound" {
		err = blockstorage.VolumeNotFound(c.Values().Get("marker"))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if counted, _ := rest.ParseBool(c.Values().Get("with_count")); counted && c.At(blockstorage.Counts) {
		q, _, err := t.Query(c)
		if err != nil {
			return rest.Reply{}, err
		}
		q.Where = append(q.Where, scope(c)...)
		q.Limit, q.Marker = 0, ""
		q, conds := conditions(q)
		rows, err := volumeRows.List(c.Context(), a.volumes.DB, q, conds...)
		if err != nil {
			return rest.Reply{}, err
		}
		body["count"] = len(rows)
	}
	return rest.OK(body)
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
}

var createMembers = []string{"name", "display_name", "description", "display_description", "size", "volume_type", "metadata", "snapshot_id", "source_volid",
	"imageRef", "image_id", "availability_zone", "multiattach", "backup_id", "group_id", "consistencygroup_id", "source_replica"}

// decodeLoose reads the known members below an envelope and leaves others alone.
func decodeLoose(c *rest.Call, envelope string, members []string, into any) error {
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(c.Payload(), &outer); err != nil {
		return fault.Invalidf("Malformed request body")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(outer[envelope], &all); err != nil || all == nil {
		return fault.Invalidf("Invalid input for field/attribute %s. '%s' is a required property", envelope, envelope)
	}
	known := map[string]json.RawMessage{}
	for _, name := range members {
		if v, ok := all[name]; ok {
			known[name] = v
		}
	}
	raw, err := json.Marshal(known)
	if err != nil {
		return fault.Invalidf("Malformed request body").Because(err)
	}
	return rest.DecodeValue(raw, into)
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in createBody
	if err := decodeLoose(c, "volume", createMembers, &in); err != nil {
		return rest.Reply{}, err
	}
	d, err := in.draft(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if d.Source.ImageID != "" && !c.Allow(ruleCreateFromImage, c.Caller()) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleCreateFromImage)
	}
	if err := a.volumes.derive(c.Context(), d, in.Type.V, viewer(c)); err != nil {
		return rest.Reply{}, err
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
		Description: text.V, NoDescribed: !text.Set || text.Null, Zone: in.Zone.V, Metadata: in.Metadata.V}}
	d.Source = blockstorage.Source{SnapshotID: in.Snapshot.V, VolumeID: in.Source.V, ImageID: in.Image.V}
	if d.Source.ImageID == "" {
		d.Source.ImageID = in.ImageID.V
	}
	if i := strings.LastIndex(d.Source.ImageID, "/"); i >= 0 { // a link to the image
		d.Source.ImageID = d.Source.ImageID[i+1:]
	}
	for what, word := range map[string]string{"snapshot_id": in.Snapshot.V, "source_volid": in.Source.V, "imageRef": d.Source.ImageID} {
		if word != "" && !id.Valid(word) {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Value: %s. it is not a 'uuid'", what, url.QueryEscape(word))
		}
	}
	given := 0
	for _, word := range []string{d.Source.SnapshotID, d.Source.VolumeID, d.Source.ImageID} {
		if word != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, fault.Invalidf("May specify only one of snapshot, imageRef or source volume")
	case bool(in.Multiattach.V):
		return nil, fault.Invalidf("multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. Contact your administrator to create a multiattach enabled volume type and use it to create multiattach volumes.")
	case in.Backup.V != "", in.Group.V != "", in.Consistency.V != "", in.Replica.V != "":
		return nil, fault.New(fault.NotImplemented, "Volumes in groups and volumes from backups are not available.")
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

func (a api) update(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in createBody
	if err := decodeLoose(c, "volume", []string{"name", "display_name", "description", "display_description", "metadata"}, &in); err != nil {
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
	if force && !c.Allow(ruleForceDelete, a.table.Target(v)) {
		return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow volume:force_delete to be performed.")
	}
	if err := a.volumes.drop(c.Context(), v.ID, force, flag("cascade"), c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
