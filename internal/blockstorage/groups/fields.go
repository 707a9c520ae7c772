package groups

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// brief is the group as lists and creation show it.
func brief(s *Store) rest.Resource[group] {
	return rest.Resource[group]{
		One: "group", Many: "groups", Show: ruleGet, Store: s, NotFound: blockstorage.GroupNotFound,
		ID:     func(g *group) string { return g.ID },
		Target: func(g *group) policy.Target { return policy.Target{"project_id": g.ProjectID, "user_id": g.UserID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: append([]rest.Field[group]{
			{Name: "id", Column: "id", Get: func(g *group) any { return g.ID }},
			{Name: "name", Column: "name", Get: func(g *group) any { return blockstorage.OrNull(g.Name, g.NoName) }},
		}, sortable...),
		Filters: append([]rest.Filter{{Name: "all_tenants", Terms: wire.Ignored}, {Name: "list_volume", Terms: wire.Ignored}}, wire.Likes("name", "status")...),
	}
}

var sortable = []rest.Field[group]{
	{Name: "status", Column: "status", Hidden: true},
	{Name: "group_type", Column: "type_id", Hidden: true},
	{Name: "availability_zone", Column: "zone", Hidden: true},
	{Name: "created_at", Column: "created_at", Kind: rest.Moment, Hidden: true},
	{Name: "project_id", Column: "project_id", Hidden: true, Rule: ruleProject},
}

// table is the group with its details.
func table(s *Store) rest.Resource[group] {
	t := brief(s)
	t.Fields = []rest.Field[group]{
		{Name: "id", Column: "id", Get: func(g *group) any { return g.ID }},
		{Name: "name", Column: "name", Get: func(g *group) any { return blockstorage.OrNull(g.Name, g.NoName) }},
		{Name: "description", Get: func(g *group) any { return blockstorage.OrNull(g.Description, g.NoDescribed) }},
		{Name: "status", Column: "status", Get: func(g *group) any { return g.Status }},
		{Name: "availability_zone", Column: "zone", Get: func(g *group) any { return g.Zone }},
		{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(g *group) any { return blockstorage.Time(g.CreatedAt) }},
		{Name: "group_type", Column: "type_id", Get: func(g *group) any { return g.TypeID }},
		{Name: "volume_types", Get: func(g *group) any { return g.VolumeTypes }},
		{Name: "group_snapshot_id", Since: blockstorage.GroupSnapshots, Get: func(g *group) any { return blockstorage.NullIfEmpty(g.FromSnapshot) }},
		{Name: "source_group_id", Since: blockstorage.GroupSnapshots, Get: func(g *group) any { return blockstorage.NullIfEmpty(g.FromGroup) }},
		{Name: "replication_status", Since: blockstorage.GroupReplication, Get: func(*group) any { return "disabled" }},
		{Name: "project_id", Column: "project_id", Since: blockstorage.GroupProject, Rule: ruleProject, Get: func(g *group) any { return g.ProjectID }},
	}
	return t
}

// snapshotTables are group snapshots with and without details.
type snapshotTables struct{ table, brief rest.Resource[snapshot] }

func newSnapshotTables(s *Store) snapshotTables {
	b := rest.Resource[snapshot]{
		One: "group_snapshot", Many: "group_snapshots", Show: ruleSnapGet, Store: snapshotStore{s}, NotFound: blockstorage.GroupSnapshotNotFound,
		ID:     func(x *snapshot) string { return x.ID },
		Target: func(x *snapshot) policy.Target { return policy.Target{"project_id": x.ProjectID, "user_id": x.UserID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[snapshot]{
			{Name: "id", Column: "id", Get: func(x *snapshot) any { return x.ID }},
			{Name: "name", Column: "name", Get: func(x *snapshot) any { return blockstorage.OrNull(x.Name, x.NoName) }},
			{Name: "group_type_id", Column: "type_id", Get: func(x *snapshot) any { return x.TypeID }},
			{Name: "status", Column: "status", Hidden: true},
			{Name: "group_id", Column: "group_id", Hidden: true},
			{Name: "created_at", Column: "created_at", Kind: rest.Moment, Hidden: true},
			{Name: "project_id", Column: "project_id", Hidden: true, Rule: ruleSnapshotProject},
		},
		Filters: append([]rest.Filter{{Name: "all_tenants", Terms: wire.Ignored}}, wire.Likes("name", "status")...),
	}
	t := b
	t.Fields = []rest.Field[snapshot]{
		{Name: "id", Column: "id", Get: func(x *snapshot) any { return x.ID }},
		{Name: "name", Column: "name", Get: func(x *snapshot) any { return blockstorage.OrNull(x.Name, x.NoName) }},
		{Name: "description", Get: func(x *snapshot) any { return blockstorage.OrNull(x.Description, x.NoDescribed) }},
		{Name: "group_id", Column: "group_id", Get: func(x *snapshot) any { return x.GroupID }},
		{Name: "group_type_id", Column: "type_id", Get: func(x *snapshot) any { return x.TypeID }},
		{Name: "status", Column: "status", Get: func(x *snapshot) any { return x.Status }},
		{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(x *snapshot) any { return blockstorage.Time(x.CreatedAt) }},
		{Name: "project_id", Column: "project_id", Since: blockstorage.GroupProject, Rule: ruleSnapshotProject, Get: func(x *snapshot) any { return x.ProjectID }},
	}
	return snapshotTables{t, b}
}
