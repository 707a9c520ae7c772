package snapshots

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type snapshot = blockstorage.Snapshot

// table is the snapshot as lists and creation show it; details are added elsewhere.
func table(s *Store) rest.Resource[snapshot] {
	return rest.Resource[snapshot]{
		One: "snapshot", Many: "snapshots", Show: ruleGet, Store: s, NotFound: blockstorage.SnapshotNotFound,
		ID:     func(s *snapshot) string { return s.ID },
		Target: func(s *snapshot) policy.Target { return policy.Target{"project_id": s.ProjectID, "user_id": s.UserID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[snapshot]{
			{Name: "id", Column: "id", Get: func(s *snapshot) any { return s.ID }},
			{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(s *snapshot) any { return blockstorage.Time(s.CreatedAt) }},
			{Name: "updated_at", Column: "updated_at", Kind: rest.Moment, Get: func(s *snapshot) any { return blockstorage.Time(s.UpdatedAt) }},
			{Name: "name", Column: "name", Get: func(s *snapshot) any { return blockstorage.OrNull(s.Name, s.NoName) }},
			{Name: "description", Column: "description", Get: func(s *snapshot) any { return blockstorage.OrNull(s.Description, s.NoDescribed) }},
			{Name: "volume_id", Column: "volume_id", Get: func(s *snapshot) any { return s.VolumeID }},
			{Name: "status", Column: "status", Get: func(s *snapshot) any { return s.Status }},
			{Name: "size", Column: "size", Kind: rest.Number, Get: func(s *snapshot) any { return s.SizeGiB }},
			{Name: "metadata", Get: func(s *snapshot) any { return s.Metadata }},
			{Name: "group_snapshot_id", Column: "group_snapshot_id", Since: blockstorage.GroupSnapshots, Get: func(s *snapshot) any { return blockstorage.NullIfEmpty(s.GroupID) }},
			{Name: "user_id", Since: blockstorage.SnapshotUser, Get: func(s *snapshot) any { return s.UserID }},
			{Name: "consumes_quota", Since: blockstorage.ConsumesQuota, Get: func(*snapshot) any { return true }},
			{Name: "project_id", Column: "project_id", Hidden: true, Rule: ruleAll},
			{Name: "display_name", Column: "name", Hidden: true},
		},
		Filters: append([]rest.Filter{{Name: "all_tenants", Terms: wire.Ignored}, {Name: "with_count", Terms: wire.Ignored}, {Name: "metadata", Terms: labels}},
			wire.Likes("name", "status", "description")...),
	}
}

var details = []rest.Field[snapshot]{
	{Name: "os-extended-snapshot-attributes:project_id", Rule: ruleExtended, Get: func(s *snapshot) any { return s.ProjectID }},
	{Name: "os-extended-snapshot-attributes:progress", Rule: ruleExtended, Get: func(s *snapshot) any { return s.Progress }},
}

func labels(c *rest.Call, values []string) ([]listing.Term, error) {
	if !c.At(blockstorage.SnapshotMetadata) {
		return nil, nil
	}
	var out []listing.Term
	for _, text := range values {
		dict, err := blockstorage.ParseDict(text)
		if err != nil {
			return nil, err
		}
		for name, value := range dict {
			out = append(out, listing.Term{Column: labelled, Values: []any{name, value}})
		}
	}
	return out, nil
}
