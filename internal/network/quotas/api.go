package quotas

import (
	"context"
	"encoding/json"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/quota"
	"github.com/mekcloud/mek/internal/rest"
)

// Service is quotas behind the API.
type Service struct {
	db    *db.DB
	quota *quota.Quota
}

// New makes the service.
func New(d *db.DB, q *quota.Quota) *Service { return &Service{d, q} }

// Rules are the policy rules of quotas.
func Rules() []policy.Rule {
	return append(wire.Rules(wire.Admin, "get_quotas", "update_quota", "delete_quota"), wire.Rules(wire.Reader, "get_quota")...)
}

// Routes are the operations of quotas.
func (s *Service) Routes() []rest.Route {
	const one = "/v2.0/quotas/{project}"
	return []rest.Route{
		{Method: "GET", Path: "/v2.0/quotas", Rule: "get_quotas", Handle: s.list},
		{Method: "GET", Path: "/v2.0/quotas/tenant", Rule: "get_quota", Handle: tenant, Extension: true},
		{Method: "GET", Path: "/v2.0/quotas/project", Rule: "get_quota", Handle: tenant, Extension: true},
		{Method: "GET", Path: one, Rule: "get_quota", Object: true, Handle: s.show},
		{Method: "GET", Path: one + "/default", Rule: "get_quota", Object: true, Handle: s.defaults},
		{Method: "GET", Path: one + "/details", Rule: "get_quota", Object: true, Handle: s.details},
		{Method: "GET", Path: one + "/details.json", Rule: "get_quota", Object: true, Handle: s.details, Extension: true},
		{Method: "PUT", Path: one, Rule: "update_quota", Audit: "update", Handle: s.update},
		{Method: "DELETE", Path: one, Rule: "delete_quota", Audit: "delete", Handle: s.remove},
	}
}

func tenant(c *rest.Call) (rest.Reply, error) {
	return rest.OK(map[string]any{"tenant": map[string]any{"tenant_id": c.Auth.ProjectID, "project_id": c.Auth.ProjectID}})
}

// list shows the limits of projects that have some of their own.
func (s *Service) list(c *rest.Call) (rest.Reply, error) {
	out := []map[string]any{}
	owners, err := s.quota.Owners(c.Context(), s.db)
	if err != nil {
		return rest.Reply{}, err
	}
	for _, project := range owners {
		limits, err := s.quota.Limits(c.Context(), s.db, project)
		if err != nil {
			return rest.Reply{}, err
		}
		view := map[string]any{"tenant_id": project, "project_id": project}
		for name, n := range limits {
			view[name] = n
		}
		out = append(out, view)
	}
	return rest.OK(map[string]any{"quotas": out})
}

func (s *Service) show(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(wire.Target(c.Var("project"))); err != nil {
		return rest.Reply{}, err
	}
	limits, err := s.quota.Limits(c.Context(), s.db, c.Var("project"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"quota": limits})
}

func (s *Service) defaults(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(wire.Target(c.Var("project"))); err != nil {
		return rest.Reply{}, err
	}
	limits, err := s.quota.Defaults(c.Context(), s.db)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"quota": limits})
}

func (s *Service) details(c *rest.Call) (rest.Reply, error) {
	project := c.Var("project")
	if err := c.Authorize(wire.Target(project)); err != nil {
		return rest.Reply{}, err
	}
	limits, err := s.quota.Limits(c.Context(), s.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	used, err := s.quota.Usage(c.Context(), s.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	view := map[string]any{}
	for name, limit := range limits {
		view[name] = map[string]int64{"limit": limit, "used": used[name], "reserved": 0}
	}
	return rest.OK(map[string]any{"quota": view})
}

func (s *Service) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Quota map[string]json.RawMessage `json:"quota" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	project := c.Var("project")
	limits := map[string]int64{}
	check := false
	for name, raw := range in.Quota {
		if name == "check_limit" {
			var on rest.Bool
			if err := rest.DecodeValue(raw, &on); err != nil {
				return rest.Reply{}, err
			}
			check = bool(on)
		}
		if name == "force" || name == "check_limit" || name == "tenant_id" || name == "project_id" {
			continue
		}
		var n rest.Int
		if err := rest.DecodeValue(raw, &n); err != nil {
			return rest.Reply{}, err
		}
		limits[name] = int64(n)
	}
	err := s.db.Write(c.Context(), func(tx *db.Tx) error {
		if check {
			if err := s.enough(c.Context(), tx, project, limits); err != nil {
				return err
			}
		}
		if err := s.quota.Set(c.Context(), tx, project, limits); err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, c.Event("quota", project, project))
	})
	if err != nil {
		return rest.Reply{}, err
	}
	now, err := s.quota.Limits(c.Context(), s.db, project)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"quota": now})
}

// enough refuses limits below what a project uses.
func (s *Service) enough(ctx context.Context, tx *db.Tx, project string, limits map[string]int64) error {
	used, err := s.quota.Usage(ctx, tx, project)
	if err != nil {
		return err
	}
	for name, limit := range limits {
		if limit != quota.Unlimited && limit < used[name] {
			return fault.Invalidf("Quota limit %d of %s is below the current usage %d.", limit, name, used[name]).With("QuotaExceeded")
		}
	}
	return nil
}

func (s *Service) remove(c *rest.Call) (rest.Reply, error) {
	project := c.Var("project")
	err := s.db.Write(c.Context(), func(tx *db.Tx) error {
		if err := s.quota.Delete(c.Context(), tx, project); err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, c.Event("quota", project, project))
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
