package quotas

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Counts counts what a project has, inside the transaction that creates more.
type Counts interface {
	Instances(ctx context.Context, q db.Querier, project string) (int64, error)
	Cores(ctx context.Context, q db.Querier, project string) (int64, error)
	MemoryMiB(ctx context.Context, q db.Querier, project string) (int64, error)
	ServerGroups(ctx context.Context, q db.Querier, project string) (int64, error)
}

// Projects tells whether a project exists.
type Projects interface {
	ProjectExists(ctx context.Context, projectID string) (bool, error)
}

// Declare makes the compute service's quota. overrides replace defaults by name.
func Declare(c Counts, overrides map[string]int) *quota.Quota {
	resources := []quota.Resource{
		{Name: "instances", Default: 10, Count: c.Instances}, {Name: "cores", Default: 20, Count: c.Cores}, {Name: "ram", Default: 51200, Count: c.MemoryMiB},
		{Name: "metadata_items", Default: 128}, {Name: "injected_files", Default: 5}, {Name: "injected_file_content_bytes", Default: 10240},
		{Name: "injected_file_path_bytes", Default: 255}, {Name: "key_pairs", Default: 100},
		{Name: "server_groups", Default: 10, Count: c.ServerGroups}, {Name: "server_group_members", Default: 10},
	}
	for name, limit := range networkQuota {
		resources = append(resources, quota.Resource{Name: name, Default: limit})
	}
	for i := range resources {
		if v, ok := overrides[resources[i].Name]; ok {
			resources[i].Default = int64(v)
		}
	}
	return quota.New("compute", resources...)
}

// Quotas is the service behind the API. Safe for concurrent use.
type Quotas struct {
	db       *db.DB
	quota    *quota.Quota
	projects Projects
}

// New makes the service.
func New(d *db.DB, q *quota.Quota, p Projects) *Quotas { return &Quotas{d, q, p} }

// KeyPairs is the limit of key pairs of a user, which is set per project.
func (s *Quotas) KeyPairs(ctx context.Context, projectID, _ string) (int64, error) {
	limits, err := s.quota.Limits(ctx, s.db, projectID)
	return limits["key_pairs"], err
}

func (s *Quotas) known(ctx context.Context, project string) error {
	ok, err := s.projects.ProjectExists(ctx, project)
	if err == nil && !ok {
		err = fault.Invalidf("Project ID %s is not a valid project.", project)
	}
	return err
}

// set changes limits of a project; below its usage only by force.
func (s *Quotas) set(ctx context.Context, project string, limits map[string]int64, force bool, record event.Record) (map[string]int64, error) {
	if err := s.known(ctx, project); err != nil {
		return nil, err
	}
	var after map[string]int64
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		used, err := s.quota.Usage(ctx, tx, project)
		if err != nil {
			return err
		}
		for name, limit := range limits {
			if !force && limit != quota.Unlimited && limit < used[name] {
				return fault.Invalidf("Quota limit %d for %s must be greater than or equal to already used and reserved %d.", limit, name, used[name])
			}
		}
		if err := s.quota.Set(ctx, tx, project, limits); err != nil {
			return err
		}
		if after, err = s.quota.Limits(ctx, tx, project); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return after, err
}

func (s *Quotas) reset(ctx context.Context, project string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.quota.Delete(ctx, tx, project); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Quotas) setDefaults(ctx context.Context, limits map[string]int64, record event.Record) (map[string]int64, error) {
	var after map[string]int64
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if err := s.quota.SetDefaults(ctx, tx, limits); err != nil {
			return err
		}
		if after, err = s.quota.Defaults(ctx, tx); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return after, err
}

func forbidden() error {
	return fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleOtherLimits)
}
