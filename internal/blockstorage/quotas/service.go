package quotas

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Count counts what a project has, inside the transaction that creates more.
type Count func(ctx context.Context, q db.Querier, project string) (int64, error)

// Declare makes the quota of block storage. overrides replace defaults by name.
func Declare(volumes, snapshots, gigabytes Count, overrides map[string]int) *quota.Quota {
	resources := []quota.Resource{
		{Name: "volumes", Default: 10, Count: volumes}, {Name: "snapshots", Default: 10, Count: snapshots}, {Name: "gigabytes", Default: 1000, Count: gigabytes},
		{Name: "per_volume_gigabytes", Default: quota.Unlimited}, {Name: "backups", Default: 10}, {Name: "backup_gigabytes", Default: 1000}, {Name: "groups", Default: 10},
	}
	for i := range resources {
		if v, ok := overrides[resources[i].Name]; ok {
			resources[i].Default = int64(v)
		}
	}
	return quota.New("block-storage", resources...)
}

// Quotas is the service behind the API. Safe for concurrent use.
type Quotas struct {
	db    *db.DB
	quota *quota.Quota
	types blockstorage.Types
}

// New makes the service.
func New(d *db.DB, q *quota.Quota, t blockstorage.Types) *Quotas { return &Quotas{d, q, t} }

// write runs f with an audit record.
func (s *Quotas) write(ctx context.Context, record event.Record, f func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
