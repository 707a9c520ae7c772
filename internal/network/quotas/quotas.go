package quotas

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/quota"
)

// Declare says what the networking service limits, with upstream's defaults
// where the operator set none.
func Declare(r *records.Records, operator map[string]int) *quota.Quota {
	list := []quota.Resource{
		quota.Resource{Name: "network", Default: 100, Count: count(r.Networks)},
		quota.Resource{Name: "subnet", Default: 100, Count: count(r.Subnets)},
		quota.Resource{Name: "subnetpool", Default: quota.Unlimited, Count: count(r.Pools)},
		quota.Resource{Name: "port", Default: 500, Count: count(r.Ports)},
		quota.Resource{Name: "router", Default: 10, Count: count(r.Routers)},
		quota.Resource{Name: "floatingip", Default: 50, Count: count(r.Floatings)},
		quota.Resource{Name: "rbac_policy", Default: 10, Count: count(r.Shares)},
		quota.Resource{Name: "trunk", Default: quota.Unlimited, Count: count(r.Trunks)},
		quota.Resource{Name: "security_group", Default: 10, Count: count(r.Groups)},
		quota.Resource{Name: "security_group_rule", Default: 100, Count: count(r.Rules)},
	}
	for i := range list {
		if limit, ok := operator[list[i].Name]; ok {
			list[i].Default = int64(limit)
		}
	}
	return quota.New("network", list...)
}

func count[R, T any](s *records.Store[R, T]) func(context.Context, db.Querier, string) (int64, error) {
	return func(ctx context.Context, q db.Querier, project string) (int64, error) {
		return s.Count(ctx, q, records.Is("project_id", project))
	}
}
