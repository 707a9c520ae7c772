package quotas

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Count counts what a project has, inside the transaction that creates more.
type Count func(ctx context.Context, q db.Querier, project string) (int64, error)

// Counts count what a project has of each kind.
type Counts struct {
	Volumes, Snapshots, Gigabytes, Backups, BackupGigabytes, Groups Count
	// PerType declares what is limited for each volume type: unlimited until it is set.
	PerType func(ctx context.Context, q db.Querier) ([]quota.Resource, error)
}

// Declare makes the quota of block storage. overrides replace defaults by name.
func Declare(c Counts, overrides map[string]int) *quota.Quota {
	resources := []quota.Resource{
		{Name: "volumes", Default: 10, Count: c.Volumes}, {Name: "snapshots", Default: 10, Count: c.Snapshots}, {Name: "gigabytes", Default: 1000, Count: c.Gigabytes},
		{Name: "per_volume_gigabytes", Default: quota.Unlimited}, {Name: "backups", Default: 10, Count: c.Backups},
		{Name: "backup_gigabytes", Default: 1000, Count: c.BackupGigabytes}, {Name: "groups", Default: 10, Count: c.Groups},
	}
	for i := range resources {
		if v, ok := overrides[resources[i].Name]; ok {
			resources[i].Default = int64(v)
		}
	}
	return quota.New("block-storage", resources...).With(c.PerType)
}

// The limits of a volume type are named so, with the type's name behind.
const (
	VolumesOf   = "volumes_"
	SnapshotsOf = "snapshots_"
	GigabytesOf = "gigabytes_"
)

// FollowType makes the limits of a volume type those of its new name.
func FollowType(q *quota.Quota) func(ctx context.Context, tx *db.Tx, from, to string) error {
	return func(ctx context.Context, tx *db.Tx, from, to string) error {
		for _, prefix := range []string{VolumesOf, SnapshotsOf, GigabytesOf} {
			if err := q.Rename(ctx, tx, prefix+from, prefix+to); err != nil {
				return err
			}
		}
		return nil
	}
}

// Quotas is the service behind the API. Safe for concurrent use.
type Quotas struct {
	db    *db.DB
	quota *quota.Quota
}

// New makes the service.
func New(d *db.DB, q *quota.Quota) *Quotas { return &Quotas{d, q} }

// write runs f with an audit record.
func (s *Quotas) write(ctx context.Context, record event.Record, f func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
