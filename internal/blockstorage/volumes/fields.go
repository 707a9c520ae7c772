package volumes

import (
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type volume = blockstorage.Volume

type field = rest.Field[volume]

// table is the volume as the API shows it; brief is the list without details.
func table(s store) rest.Resource[volume] {
	t := brief(s)
	t.Fields = append(append([]field{}, detailFields...), hiddenFields...)
	return t
}

// core is the volume as creation and update answer it: what upstream adds by
// extensions is in show and list only.
func core(s store) rest.Resource[volume] {
	t := brief(s)
	t.Fields = nil
	for _, f := range detailFields {
		if !strings.HasPrefix(f.Name, "os-vol-") && f.Name != "volume_image_metadata" {
			t.Fields = append(t.Fields, f)
		}
	}
	return t
}

func brief(s store) rest.Resource[volume] {
	fields := []field{
		{Name: "id", Column: "id", Get: func(v *volume) any { return v.ID }},
		{Name: "name", Column: "name", Get: func(v *volume) any { return blockstorage.OrNull(v.Name, v.NoName) }},
		{Name: "links", With: links},
		{Name: "status", Column: "status", Hidden: true},
		{Name: "description", Column: "description", Hidden: true},
		{Name: "size", Column: "size", Kind: rest.Number, Hidden: true},
		{Name: "availability_zone", Column: "zone", Hidden: true},
		{Name: "created_at", Column: "created_at", Kind: rest.Moment, Hidden: true},
		{Name: "updated_at", Column: "updated_at", Kind: rest.Moment, Hidden: true},
		{Name: "bootable", Column: "bootable", Kind: rest.Flag, Hidden: true},
	}
	return rest.Resource[volume]{
		One: "volume", Many: "volumes", Show: ruleGet, Store: s,
		ID: func(v *volume) string { return v.ID },
		Target: func(v *volume) policy.Target {
			return policy.Target{"project_id": v.ProjectID, "tenant_id": v.ProjectID, "user_id": v.UserID}
		},
		Order:    []listing.Order{{Column: "created_at", Desc: true}},
		NotFound: blockstorage.VolumeNotFound,
		Fields:   append(fields, hiddenFields...),
		Filters:  filters(),
	}
}

var hiddenFields = []field{
	{Name: "user_id", Column: "user_id", Hidden: true, Rule: ruleHost},
	{Name: "project_id", Column: "project_id", Hidden: true, Rule: ruleHost},
	{Name: "host", Column: "host", Hidden: true, Rule: ruleHost},
	{Name: "display_name", Column: "name", Hidden: true},
	{Name: "snapshot_id", Column: "snapshot_id", Hidden: true},
	{Name: "source_volid", Column: "source_volid", Hidden: true},
	{Name: "multiattach", Column: "multiattach", Kind: rest.Flag, Hidden: true},
	{Name: "migration_status", Column: "migration", Hidden: true, Rule: ruleMigration},
}

var detailFields = []field{
	{Name: "id", Column: "id", Get: func(v *volume) any { return v.ID }},
	{Name: "name", Column: "name", Get: func(v *volume) any { return blockstorage.OrNull(v.Name, v.NoName) }},
	{Name: "description", Column: "description", Get: func(v *volume) any { return blockstorage.OrNull(v.Description, v.NoDescribed) }},
	{Name: "status", Column: "status", Get: func(v *volume) any { return v.Status }},
	{Name: "size", Column: "size", Kind: rest.Number, Get: func(v *volume) any { return v.SizeGiB }},
	{Name: "availability_zone", Column: "zone", Get: func(v *volume) any { return v.Zone }},
	{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(v *volume) any { return blockstorage.Time(v.CreatedAt) }},
	{Name: "updated_at", Column: "updated_at", Kind: rest.Moment, Get: func(v *volume) any { return blockstorage.Time(v.UpdatedAt) }},
	{Name: "attachments", With: attachmentViews},
	{Name: "volume_type", Get: func(v *volume) any { return blockstorage.NullIfEmpty(v.TypeName) }},
	{Name: "snapshot_id", Get: func(v *volume) any { return blockstorage.NullIfEmpty(v.Source.SnapshotID) }},
	{Name: "source_volid", Get: func(v *volume) any { return blockstorage.NullIfEmpty(v.Source.VolumeID) }},
	{Name: "metadata", Get: func(v *volume) any { return v.ShownMetadata() }},
	{Name: "links", With: links},
	{Name: "user_id", Get: func(v *volume) any { return v.UserID }},
	{Name: "bootable", Column: "bootable", Kind: rest.Flag, Get: func(v *volume) any { return strconv.FormatBool(v.Bootable) }},
	{Name: "encrypted", Get: func(*volume) any { return false }},
	{Name: "replication_status", Get: func(*volume) any { return nil }},
	{Name: "consistencygroup_id", Get: func(*volume) any { return nil }}, // groups show themselves as group_id
	{Name: "multiattach", Get: func(v *volume) any { return v.Multiattach }},
	{Name: "migration_status", Rule: ruleMigration, Get: func(v *volume) any { return blockstorage.NullIfEmpty(v.Migration) }},
	{Name: "volume_image_metadata", Rule: ruleImageMetaShow, Omit: func(v *volume) bool { return len(v.ImageMeta) == 0 },
		Get: func(v *volume) any { return v.ImageMeta }},
	{Name: "os-vol-host-attr:host", Rule: ruleHost, Get: func(v *volume) any { return hostWord(v.Host) }},
	{Name: "os-vol-tenant-attr:tenant_id", Rule: ruleTenant, Get: func(v *volume) any { return v.ProjectID }},
	{Name: "os-vol-mig-status-attr:migstat", Rule: ruleMigration, Get: func(v *volume) any { return blockstorage.NullIfEmpty(v.Migration) }},
	{Name: "os-vol-mig-status-attr:name_id", Rule: ruleMigration, Get: func(*volume) any { return nil }},
	{Name: "group_id", Since: blockstorage.GroupOnVolume, Column: "group_id", Get: func(v *volume) any { return blockstorage.NullIfEmpty(v.GroupID) }},
	{Name: "provider_id", Since: blockstorage.ProviderID, Rule: ruleMigration, Get: func(*volume) any { return nil }},
	{Name: "shared_targets", Since: blockstorage.SharedTargets, Get: func(*volume) any { return false }},
	{Name: "service_uuid", Since: blockstorage.SharedTargets, Get: func(*volume) any { return nil }},
	{Name: "cluster_name", Since: blockstorage.ClusterName, Rule: ruleMigration, Get: func(*volume) any { return nil }},
	{Name: "volume_type_id", Since: blockstorage.TypeID, Get: func(v *volume) any { return v.TypeID }},
	{Name: "consumes_quota", Since: blockstorage.ConsumesQuota, Get: func(v *volume) any { return !v.Transient }},
}

// hostWord is a host in this API's spelling: host@backend#pool.
func hostWord(host string) any {
	if host == "" {
		return nil
	}
	return host + "@mek#mek"
}

func links(c *rest.Call, v *volume) any {
	return []map[string]string{{"rel": "self", "href": c.Link("/v3/" + c.Auth.ProjectID + "/volumes/" + v.ID)},
		{"rel": "bookmark", "href": c.Link("/" + c.Auth.ProjectID + "/volumes/" + v.ID)}}
}

func attachmentViews(c *rest.Call, v *volume) any {
	out := make([]map[string]any, 0, len(v.Attachments))
	for _, a := range v.Attached() {
		view := map[string]any{"id": v.ID, "attachment_id": a.ID, "volume_id": v.ID, "server_id": blockstorage.NullIfEmpty(a.ServerID), "host_name": nil,
			"device": blockstorage.NullIfEmpty(a.Device), "attached_at": blockstorage.Time(a.AttachedAt)}
		if c.Auth.HasRole("service") || c.Allow(ruleHost, c.Caller()) {
			view["host_name"] = blockstorage.NullIfEmpty(a.Host)
		}
		out = append(out, view)
	}
	return out
}

func filters() []rest.Filter {
	return append([]rest.Filter{
		{Name: "all_tenants", Terms: wire.Ignored}, {Name: "with_count", Terms: wire.Ignored},
		{Name: "metadata", Terms: labels("metadata")}, {Name: "glance_metadata", Terms: labels("image")},
		{Name: "volume_type", Terms: func(_ *rest.Call, values []string) ([]listing.Term, error) {
			return []listing.Term{{Column: "type_id", Values: []any{values[len(values)-1]}}}, nil
		}},
		{Name: "consumes_quota", Terms: consuming},
		{Name: "group_id", Terms: func(c *rest.Call, values []string) ([]listing.Term, error) {
			if !c.At(blockstorage.GroupOnVolume) {
				return nil, nil
			}
			return []listing.Term{{Column: "group_id", Values: []any{values[len(values)-1]}}}, nil
		}},
	}, wire.Likes("name", "description", "status", "availability_zone")...)
}

// consuming picks volumes by whether quotas count them, from 3.65.
func consuming(c *rest.Call, values []string) ([]listing.Term, error) {
	if !c.At(blockstorage.ConsumesQuota) {
		return nil, nil
	}
	counted, ok := rest.ParseBool(values[len(values)-1])
	if !ok {
		return nil, fault.Invalidf("Invalid value for consumes_quota: %q is not a boolean", values[len(values)-1])
	}
	return []listing.Term{{Column: "transient", Values: []any{!counted}}}, nil
}

func labels(kind string) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(_ *rest.Call, values []string) ([]listing.Term, error) {
		var out []listing.Term
		for _, text := range values {
			dict, err := blockstorage.ParseDict(text)
			if err != nil {
				return nil, err
			}
			for name, value := range dict {
				out = append(out, listing.Term{Column: labelled, Values: []any{kind, name, value}})
			}
		}
		return out, nil
	}
}

// sizeOf reads a size, which clients send as a number or as text.
func sizeOf(n *rest.Int, text string) (int64, error) {
	if n == nil {
		return 0, nil
	}
	if *n <= 0 {
		return 0, fault.Invalidf("Invalid input received: Invalid volume size provided for create request: %s (size argument must be an integer (or string representation of an integer) and greater than zero).", text)
	}
	return int64(*n), nil
}
