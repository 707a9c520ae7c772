package backups

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type backup = blockstorage.Backup

type field = rest.Field[backup]

// brief is the backup as lists and creation show it.
func brief(s *Store) rest.Resource[backup] {
	return rest.Resource[backup]{
		One: "backup", Many: "backups", Show: ruleGet, Store: s, NotFound: blockstorage.BackupNotFound,
		ID:     func(b *backup) string { return b.ID },
		Target: func(b *backup) policy.Target { return policy.Target{"project_id": b.ProjectID, "user_id": b.UserID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: append([]field{
			{Name: "id", Column: "id", Get: func(b *backup) any { return b.ID }},
			{Name: "name", Column: "name", Get: func(b *backup) any { return blockstorage.OrNull(b.Name, b.NoName) }},
			{Name: "links", With: links},
		}, hidden("status", "volume_id", "created_at", "project_id")...),
		Filters: append([]rest.Filter{{Name: "all_tenants", Terms: wire.Ignored}, {Name: "with_count", Terms: wire.Ignored}},
			wire.Likes("name", "status", "volume_id")...),
	}
}

// table is the backup with its details.
func table(s *Store) rest.Resource[backup] {
	t := brief(s)
	t.Fields = append(append([]field{}, details...), hidden("project_id")...)
	return t
}

func hidden(names ...string) []field {
	var out []field
	for _, name := range names {
		f := field{Name: name, Column: name, Hidden: true}
		switch name {
		case "created_at":
			f.Kind = rest.Moment
		case "project_id":
			f.Rule = ruleProject
		}
		out = append(out, f)
	}
	return out
}

func links(c *rest.Call, b *backup) any {
	return []map[string]string{{"rel": "self", "href": c.Link("/v3/" + c.Auth.ProjectID + "/backups/" + b.ID)},
		{"rel": "bookmark", "href": c.Link("/" + c.Auth.ProjectID + "/backups/" + b.ID)}}
}

var details = []field{
	{Name: "id", Column: "id", Get: func(b *backup) any { return b.ID }},
	{Name: "name", Column: "name", Get: func(b *backup) any { return blockstorage.OrNull(b.Name, b.NoName) }},
	{Name: "description", Get: func(b *backup) any { return blockstorage.OrNull(b.Description, b.NoDescribed) }},
	{Name: "status", Column: "status", Get: func(b *backup) any { return b.Status }},
	{Name: "size", Column: "size", Kind: rest.Number, Get: func(b *backup) any { return b.SizeGiB }},
	{Name: "volume_id", Column: "volume_id", Get: func(b *backup) any { return b.VolumeID }},
	{Name: "snapshot_id", Get: func(b *backup) any { return blockstorage.NullIfEmpty(b.SnapshotID) }},
	{Name: "object_count", Get: func(b *backup) any { return b.Objects }},
	{Name: "container", Get: func(b *backup) any { return b.Container }},
	{Name: "availability_zone", Get: func(b *backup) any { return b.Zone }},
	{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(b *backup) any { return blockstorage.Time(b.CreatedAt) }},
	{Name: "updated_at", Column: "updated_at", Kind: rest.Moment, Get: func(b *backup) any { return blockstorage.Time(b.UpdatedAt) }},
	{Name: "data_timestamp", Column: "data_at", Kind: rest.Moment, Get: func(b *backup) any { return blockstorage.Time(b.DataAt) }},
	{Name: "fail_reason", Get: func(b *backup) any { return blockstorage.NullIfEmpty(b.Error) }},
	{Name: "is_incremental", Get: func(b *backup) any { return b.ParentID != "" }},
	{Name: "has_dependent_backups", Get: func(b *backup) any { return b.Dependents > 0 }},
	{Name: "links", With: links},
	{Name: "os-backup-project-attr:project_id", Since: blockstorage.BackupProject, Rule: ruleProject, Get: func(b *backup) any { return b.ProjectID }},
	{Name: "metadata", Since: blockstorage.BackupMetadata, Get: func(b *backup) any { return b.Metadata }},
	{Name: "user_id", Since: blockstorage.BackupUser, Rule: ruleProject, Get: func(b *backup) any { return b.UserID }},
}
